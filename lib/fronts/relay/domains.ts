// The domains of all apps: which app a name belongs to, and its certificate.
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import type { Edge } from "../../config/tls.ts";
import type { Domain, Route } from "../../contracts/front.ts";
import { codeOf, DpError, messageOf } from "../../errors.ts";
import { readPair } from "../../host/pem.ts";
import { apps, gate } from "./app.ts";
import { log } from "./log.ts";
import type { App } from "./types.ts";

/** A name of a route, or a path below one. */
export interface Named extends Domain {
  app: App;
}

/** A name, with the apps that have its paths: the longest path first. */
export interface Site {
  places: readonly Named[];
  /** The one app that has all of it; null: several share it, or some paths are nobody's. */
  only: Named | null;
}

const names = new Map<string, Site>();
const contexts = new Map<string, SecureContext>();
/** Of each file that a context was made of: its digest. */
const digests = new Map<string, string>();

/** The ports of the domains and the folders of their files; null: no app has a domain. */
export const edge: { settings: Edge | null } = { settings: null };

const wildcardOf = (name: string) => `*.${name.slice(name.indexOf(".") + 1)}`;

const among = <T>(map: ReadonlyMap<string, T>, name: string): T | undefined =>
  map.get(name) ?? map.get(wildcardOf(name));

/** The domain that a name in lower case belongs to. */
export const domainOf = (name: string): Site | undefined => among(names, name);

/** The certificate for a name in lower case. */
export const contextOf = (name: string): SecureContext | undefined =>
  domainOf(name) ? among(contexts, name) : undefined;

/** Whether any app has a domain. */
export const hasDomains = (): boolean => names.size > 0;

/** The names whose certificates are in use. */
export const certifiedNames = (): string[] => [...contexts.keys()].filter((name) => names.has(name)).toSorted();

/** Throws DpError "host" when a domain of the route belongs to another app. */
export function refuseTaken(route: Route): void {
  for (const { name, path = "" } of route.domains ?? []) {
    const owner = names.get(name)?.places.find((place) => (place.path ?? "") === path)?.app.route.app;
    if (owner !== undefined && owner !== route.app)
      throw new DpError("host", `${name}${path} belongs to the app "${owner}"`, {
        hint: `dp domains ${owner} remove ${name}${path}`,
      });
  }
}

/** Takes over the domains of all routes; certificates that were not read yet are read. */
export function renewDomains(): void {
  names.clear();
  for (const app of apps.values()) for (const domain of app.route.domains ?? []) addPlace({ ...domain, app });
  for (const name of contexts.keys()) if (!names.has(name)) contexts.delete(name);
  const proxies = [...apps.values()]
    .filter(({ route }) => route.domains?.length)
    .map(({ route }) => route.trustedProxies);
  gate.route = { ...gate.route, trustedProxies: [...new Set(proxies.flat())] };
  if (edge.settings === null) return;
  for (const name of names.keys()) if (!contexts.has(name)) tryCertificate(name);
}

function addPlace(place: Named): void {
  const { name, path = "" } = place;
  const others = names.get(name)?.places ?? [];
  if (others.some((other) => (other.path ?? "") === path)) return;
  const places = [...others, place].toSorted((a, b) => (b.path ?? "").length - (a.path ?? "").length);
  names.set(name, { places, only: places.length === 1 && path === "" ? place : null });
}

function tryCertificate(name: string): void {
  try {
    readCertificate(name);
  } catch (error) {
    if (codeOf((error as DpError).cause) !== "ENOENT") log(`${name}: ${messageOf(error)}`);
  }
}

/** The file with the key and the certificates of a name. */
const pairOf = (folder: string, name: string) => join(folder, name.replace("*", "_"), "pair.pem");

/** Reads the certificate of a name again, for the connections from now on. Throws DpError "host"; the old one stays. */
export function readCertificate(name: string): void {
  if (edge.settings === null || !names.has(name)) throw new DpError("host", `the relay has no domain ${name}`);
  const path = pairOf(edge.settings.certificates, name);
  try {
    const { key, chain } = readPair(path);
    const digest = new Bun.CryptoHasher("sha256").update(key).update(chain).digest("hex");
    // The same certificate in a new context would end the resumption of sessions.
    if (contexts.has(name) && digests.get(name) === digest) return;
    contexts.set(name, contextFrom(key, chain));
    digests.set(name, digest);
  } catch (error) {
    throw new DpError("host", `${path} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * What TLS 1.2 may use: forward secrecy and AEAD, as browsers have had for ten years, in the order of the server. In
 * brackets the client's order counts: a phone without AES in its processor puts ChaCha20 first.
 */
const CIPHERS = ["ECDSA", "RSA"]
  .flatMap((kind) => [
    `[ECDHE-${kind}-AES128-GCM-SHA256|ECDHE-${kind}-CHACHA20-POLY1305]`,
    `ECDHE-${kind}-AES256-GCM-SHA384`,
  ])
  .join(":");

/** Of a certificate alone TLS would look for the others in each handshake, among the system's: `ca` says that there are none. */
const contextFrom = (key: string, cert: string): SecureContext =>
  // Loaded here: most relays have no domains, and it takes longer to load than all of the relay.
  process
    .getBuiltinModule("node:tls")
    .createSecureContext({ key, cert, ca: cert, minVersion: "TLSv1.2", ciphers: CIPHERS });
