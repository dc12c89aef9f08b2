// What is known of an app's domains: certificate, until when, and what is wrong.
import type { App } from "../contracts/app.ts";
import { fullName } from "../config/domain-name.ts";
import { certificateOf } from "./pair.ts";
import { sourceOf, stateOf, type Source } from "./state.ts";

/** One domain. Times are ISO 8601. */
export interface DomainRow {
  name: string;
  /** The app has only what is below this path of the name; null: it has all of it that no other app has. */
  path: string | null;
  /** The app gets its requests without the path. */
  stripPrefix: boolean;
  /** The name that its clients are redirected to, or null. */
  redirect: string | null;
  url: string;
  source: Source;
  /** The folder that somebody else renews its files in, or null. */
  folder: string | null;
  issuer: string | null;
  from: string | null;
  until: string | null;
  /** Why the last try failed, and when the next one is; null: nothing is wrong. */
  error: string | null;
  next: string | null;
}

/** The domains of an app, in the order of config.yml. */
export function domainsOf({ server }: App): Promise<DomainRow[]> {
  return Promise.all(
    server.domains.map(async (domain) => {
      const { name, path = null, stripPrefix = false, redirect = null, certificate: folder = null } = domain;
      const [certificate, state] = [await certificateOf(name), await stateOf(name)];
      const { issuer, from, until } = certificate ?? { issuer: null, from: null, until: null };
      const { error, next } = state;
      const source = sourceOf(domain, state);
      const url = `https://${fullName(domain)}`;
      return { name, path, stripPrefix, redirect, url, source, folder, issuer, from, until, error, next };
    }),
  );
}

/** The same, each name once: several paths of it have one certificate. */
export async function hostsOf(app: App): Promise<DomainRow[]> {
  const rows = await domainsOf(app);
  return rows.filter(({ name }, at) => rows.findIndex((row) => row.name === name) === at);
}
