// How the user of a command reaches package registries: proxies, certificates and the settings of package managers.
import { plainEnv } from "./run.ts";

const NAME =
  /^(?:(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?:PIP|UV|NPM_CONFIG|BUN_CONFIG)_\w+)$/i;

/** The environment for a program that fetches something for the server, not for an app. */
export function networkEnv(): Record<string, string> {
  const own = Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined && NAME.test(name) ? [[name, value] as const] : [],
  );
  return { ...plainEnv(), ...Object.fromEntries(own) };
}
