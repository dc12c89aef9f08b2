// Which app has which domain.
import { fullName, hostOf } from "../config/domain-name.ts";
import { appNames, readServer } from "../config/server.ts";
import { DpError } from "../errors.ts";
import { places } from "../paths.ts";

/** Domain, with its path if it has one -> its app, for all apps of this server whose config.yml can be read. */
export async function owners(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const app of await appNames()) {
    try {
      for (const domain of (await readServer(places(app))).domains) found.set(fullName(domain), app);
    } catch (error) {
      if (!(error instanceof DpError)) throw error; // its own check reports it
    }
  }
  return found;
}

/**
 * Domain -> the app that looks after its certificate, which all that share the domain use: the one that has what is no
 * path of another's, otherwise the first by name.
 */
export async function keepers(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [full, app] of await owners()) {
    const host = hostOf(full);
    if (full === host || !found.has(host)) found.set(host, app);
  }
  return found;
}

/** Those of the domains that no app has, apart from the one that leaves; null: none leaves. */
export async function unused(hosts: readonly string[], leaving: string | null): Promise<string[]> {
  const used = new Set([...(await owners())].filter(([, app]) => app !== leaving).map(([full]) => hostOf(full)));
  return [...new Set(hosts)].filter((host) => !used.has(host));
}
