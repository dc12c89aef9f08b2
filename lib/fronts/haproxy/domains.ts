// The domains of all apps, as HAProxy reads them: a map from names to apps, and a list of certificates.
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { namesIn } from "../../host/files.ts";
import { filesOf } from "./places.ts";
import type { Kept, KeptRoute } from "./routes.ts";

/** What HAProxy must have: a value for each name, and the names by the file of their certificate. */
export interface Wanted {
  map: ReadonlyMap<string, string>;
  certificates: ReadonlyMap<string, string>;
}

/** The file with HAProxy's own copy of a name's key and certificates. */
export const copyOf = (name: string) => join(filesOf().certificates, `${name.replace("*", "_")}.pem`);

/** The names of all apps, with their app; of two apps with the same name the first keeps it. */
function domainsIn({ routes }: Kept): Map<string, { route: KeptRoute; redirect: string | undefined }> {
  const found = new Map<string, { route: KeptRoute; redirect: string | undefined }>();
  for (const route of routes.values())
    for (const { name, redirect } of route.domains ?? []) if (!found.has(name)) found.set(name, { route, redirect });
  return found;
}

/** The names of all apps. */
export const namesOf = (kept: Kept): string[] => [...domainsIn(kept).keys()].toSorted();

/** Throws DpError "host" when a domain of the route belongs to another app. */
export function refuseTaken(kept: Kept, { app, domains }: Pick<KeptRoute, "app" | "domains">): void {
  const known = domainsIn(kept);
  for (const { name } of domains ?? []) {
    const owner = known.get(name)?.route.app;
    if (owner !== undefined && owner !== app)
      throw new DpError("host", `${name} belongs to the app "${owner}"`, {
        hint: `dp domains ${owner} remove ${name}`,
      });
  }
}

/** What HAProxy must have about the domains; the certificates are those that it has copies of. */
export async function wantedOf(kept: Kept): Promise<Wanted> {
  const copies = new Set(await namesIn(filesOf().certificates));
  const map = new Map<string, string>();
  const certificates = new Map<string, string>();
  for (const name of namesOf(kept)) {
    const isCertified = copies.has(`${name.replace("*", "_")}.pem`);
    if (isCertified) certificates.set(copyOf(name), name);
    const { route, redirect = "none" } = domainsIn(kept).get(name)!;
    // Until there is a certificate, port 80 serves the app: its first minutes are not those of a dead site.
    const http = route.tls?.http === "serve" || !isCertified ? "serve" : "redirect";
    map.set(name, [route.app, redirect, Math.trunc(route.tls?.hsts ?? 0), http].join("/"));
  }
  return { map, certificates };
}

/** The text of the map's file. */
export const mapText = ({ map }: Wanted): string => [...map].map(([name, value]) => `${name} ${value}\n`).join("");

/** The text of the list's file. A certificate answers for its own name alone, whatever other names are in it. */
export const listText = ({ certificates }: Wanted): string =>
  [...certificates].map(([file, name]) => `${file} ${name}\n`).join("");
