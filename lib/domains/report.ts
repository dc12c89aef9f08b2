// What is known of an app's domains: certificate, until when, and what is wrong.
import type { App } from "../contracts/app.ts";
import { certificateOf } from "./pair.ts";
import { sourceOf, stateOf, type Source } from "./state.ts";

/** One domain. Times are ISO 8601. */
export interface DomainRow {
  name: string;
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
      const { name, redirect = null, certificate: folder = null } = domain;
      const [certificate, state] = [await certificateOf(name), await stateOf(name)];
      const { issuer, from, until } = certificate ?? { issuer: null, from: null, until: null };
      const { error, next } = state;
      const source = sourceOf(domain, state);
      return { name, redirect, url: `https://${name}`, source, folder, issuer, from, until, error, next };
    }),
  );
}
