// `dp domains`: the names of an app, and their certificates.
import { addDomains, removeDomains } from "../config/domain-edit.ts";
import {
  domainName,
  domainPlace,
  fullName,
  hostOf,
  isPrivate,
  isWildcard,
  PRIVATE_ENDS,
} from "../config/domain-name.ts";
import { appNames } from "../config/server.ts";
import { LETS_ENCRYPT, readTls } from "../config/tls.ts";
import type { DomainConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { ensureClock, stopUnused } from "../domains/clock.ts";
import { requireOpenssl } from "../domains/internal.ts";
import { requireLego } from "../domains/lego.ts";
import { follow, isDue, obtain, renewDue } from "../domains/obtain.ts";
import { owners, unused } from "../domains/owners.ts";
import { certificateOf, removeName, writePair } from "../domains/pair.ts";
import { domainsOf, hostsOf, type DomainRow } from "../domains/report.ts";
import { noteSuccess } from "../domains/state.ts";
import { DpError, messageOf } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { openApp } from "../release/app.ts";
import { routeOf } from "../release/route.ts";
import { table, when } from "../text/table.ts";
import { changeConfig } from "./change-config.ts";

/** The domains of one app. */
export const domains = async (name: string): Promise<DomainRow[]> => domainsOf(await openApp(name));

/** The domains for people. */
export function domainLines(app: string, rows: readonly DomainRow[]): string[] {
  if (rows.length === 0) return [`${app} has no domain: dp domains ${app} add NAME`];
  const cells = rows.map(({ name, path, stripPrefix, redirect, issuer, until, source, error, next }) => [
    `${name}${path ?? ""}`,
    redirect === null ? (stripPrefix ? `without ${path}` : "") : `→ ${redirect}`,
    until === null ? "none yet" : `${issuer}${source === "file" ? ", your own" : ""}`,
    until === null ? "" : when(until),
    error === null ? "" : `${error}${next === null ? "" : `; next try ${when(next)}`}`,
  ]);
  return table(["DOMAIN", "", "CERTIFICATE", "UNTIL", "PROBLEM"], cells);
}

/** What `dp domains add` was asked for. */
export interface Wanted {
  redirect?: string;
  /** The certificates are to be of dp's own CA. */
  isInternal?: boolean;
  /** The app gets its requests without the path of its name. */
  isStripped?: boolean;
  /** Order although the names do not seem to lead here. */
  isForced: boolean;
}

/**
 * Adds domains to an app and gets their certificates. A name whose certificate cannot be had yet is kept, with a
 * warning: it is tried again. Throws DpError "usage" for a name of another app, "host" when 80 or 443 is taken.
 */
export async function addNames(name: string, typed: readonly string[], wanted: Wanted, io: Io): Promise<DomainRow[]> {
  const names = await addable(name, typed, wanted.isInternal);
  const redirect = wanted.redirect === undefined ? undefined : domainName(wanted.redirect);
  const internal = new Set(await internalAmong(names, wanted.isInternal));
  const app = await change(name, io, (text, file, known) => {
    const fresh = names.filter((each) => !known.includes(each));
    return addDomains(
      text,
      fresh.map((each) => ({
        name: each,
        ...(wanted.isStripped && { stripPrefix: true }),
        ...(redirect && { redirect }),
        ...(internal.has(each) && { tls: "internal" as const }),
      })),
      file,
    );
  });
  for (const each of names) {
    const [host, path] = [hostOf(each), each.slice(hostOf(each).length)];
    if (!(await isShared(app, host))) await tell(app, host, wanted.isForced, io, path);
    else io.info(`live: https://${host}${path}, by the certificate that ${host} has`);
  }
  return domainsOf(app);
}

/** Whether a name that is also another app's, or has another path, has a good certificate. */
async function isShared(app: App, host: string): Promise<boolean> {
  const users = [...(await owners()).keys()].filter((full) => hostOf(full) === host);
  if (users.length < 2 || isDue(await certificateOf(host))) return false;
  await app.front.certify?.(host);
  return true;
}

/**
 * The domains as they are written in config.yml. Throws DpError "usage" for a bad one or one of another app, "host"
 * without the program that orders certificates.
 */
export async function addable(name: string, typed: readonly string[], isInternal = false): Promise<string[]> {
  const names = typedNames(typed);
  await refuseTaken(name, names);
  const internal = await internalAmong(names, isInternal);
  if (internal.length > 0) requireOpenssl();
  const ordered = names.filter((each) => !internal.includes(each));
  if (ordered.length === 0) return names;
  if (ordered.some(isWildcard) && (await readTls()).dns === undefined)
    throw new DpError("usage", "a certificate for a wildcard needs challenges by DNS", {
      hint: `set dns in /etc/dp/tls.yml, or: dp domains ${name} cert '*.example.com' --cert FILE --key FILE`,
    });
  requireLego();
  return names;
}

/**
 * Those of the names whose certificates are to be of dp's own CA: all when that was asked for, otherwise those that
 * Let's Encrypt gives none. Throws DpError "usage" for a name that the own CA gives none.
 */
async function internalAmong(names: readonly string[], isInternal = false): Promise<string[]> {
  const open = isInternal ? names.find((name) => !isPrivate(hostOf(name))) : undefined;
  if (open !== undefined)
    throw new DpError("usage", `${open} is no name of a private network: dp's own CA gives no certificate for it`, {
      hint: `its names end in ${PRIVATE_ENDS.join(", ")}; without --internal a public CA is asked`,
    });
  if (!isInternal && (await readTls()).directory !== LETS_ENCRYPT) return [];
  return names.filter((name) => isPrivate(hostOf(name)));
}

function typedNames(typed: readonly string[]): string[] {
  if (typed.length === 0) throw new DpError("usage", "which domain?", { hint: "dp domains APP add shop.example.com" });
  return [...new Set(typed.map(domainPlace))];
}

async function refuseTaken(name: string, names: readonly string[]): Promise<void> {
  const taken = await owners();
  for (const each of names) {
    const owner = taken.get(each);
    if (owner !== undefined && owner !== name)
      throw new DpError("usage", `${each} belongs to the app "${owner}"`, {
        hint: `dp domains ${owner} remove ${each}`,
      });
  }
}

async function tell(app: App, name: string, isForced: boolean, io: Io, path = ""): Promise<void> {
  const isInternal = app.server.domains.some((domain) => domain.name === name && domain.tls === "internal");
  io.info(`${name}: ${isInternal ? "dp's own CA makes its certificate" : "asking for a certificate"}`);
  const got = await obtain(app, name, isForced, () => io.info("waiting for another order to end"));
  if ("problem" in got) {
    io.warn(`${name} has no new certificate yet: ${got.problem}`);
    return io.warn(`it is tried again by itself, or now: dp domains ${app.name} renew ${name}`);
  }
  const { certificate, addresses } = got;
  if (addresses.length > 0) io.info(`${name} → ${addresses.join(", ")}, this server`);
  io.info(`certificate: ${certificate.issuer}, until ${certificate.until.slice(0, 10)}, renewed by itself`);
  io.info(`live: https://${name}${path}${isInternal ? ", for clients that trust it: dp domains ca" : ""}`);
}

/** Removes domains of an app with their certificates. Throws DpError "usage" for a name that it does not have. */
export async function removeNames(name: string, typed: readonly string[], io: Io): Promise<DomainRow[]> {
  const names = typedNames(typed);
  const before = await openApp(name);
  for (const each of names) requireOwn(before, each);
  const app = await change(name, io, (text, file) => removeDomains(text, names, file));
  for (const host of await unused(names.map(hostOf), null)) await removeName(host);
  for (const each of names) io.info(`removed ${each}`);
  await stopUnused(null, io);
  return domainsOf(app);
}

function requireOwn({ name: app, server }: App, name: string): void {
  if (server.domains.some((domain) => fullName(domain) === name)) return;
  const own = server.domains.map(fullName).join(", ");
  throw new DpError("usage", `${app} has no domain ${name}${own === "" ? "" : `; it has ${own}`}`);
}

/** The same for a name whose paths it may have. */
function requireHost(app: App, host: string): void {
  if (!app.server.domains.some((domain) => domain.name === host)) requireOwn(app, host);
}

type Edit = (text: string, file: string, known: readonly string[]) => string;

/** Changes the domains of config.yml and gives the front the app's new names. */
const change = (name: string, io: Io, edit: Edit): Promise<App> =>
  changeConfig(
    name,
    `dp domains ${name}`,
    (text, file, { domains: before }) => edit(text, file, before.map(fullName)),
    (app) => apply(app, io),
    io,
  );

async function apply(app: App, io: Io): Promise<void> {
  const quiet: Io = Object.assign({}, io, { warn: () => undefined });
  for (const line of await app.front.setup(await routeOf(app), quiet)) io.info(line);
  if (app.server.domains.length === 0) return;
  const edge = await app.front.edge?.();
  const problem = edge?.http.error ?? edge?.https.error;
  if (problem) throw new DpError("host", problem, { hint: "a web server in its place? see: dp help behind-a-proxy" });
  for (const line of await ensureClock(io)) io.info(line);
}

/** Uses a certificate of the owner's for a name, which is added when it is new. Throws DpError "usage" for a bad one. */
export async function useFiles(name: string, typed: string, pems: { cert: string; key: string }, io: Io) {
  const domain = domainName(typed);
  await refuseTaken(name, [domain]);
  const { keyReader } = (await openApp(name)).front;
  const { certificate } = await writePair(domain, pems.key, pems.cert, keyReader);
  await noteSuccess(domain, "file");
  const isNew = (known: readonly string[]) => !known.map(hostOf).includes(domain);
  const app = await change(name, io, (text, file, known) =>
    isNew(known) ? addDomains(text, [{ name: domain } satisfies DomainConfig], file) : text,
  );
  await app.front.certify?.(domain);
  io.info(`${domain}: certificate of ${certificate.issuer}, until ${certificate.until.slice(0, 10)}`);
  return domainsOf(app);
}

/** Throws DpError "host" when a program is missing by which the certificates of these names are made. */
function requireMaker({ server }: App, names: readonly string[]): void {
  const own = server.domains.filter((domain) => names.includes(domain.name));
  if (own.some(({ tls }) => tls === "internal")) requireOpenssl();
  if (own.some(({ tls }) => tls === undefined)) requireLego();
}

/** Goes back to certificates that dp orders. */
export async function useAutomatic(name: string, typed: string, io: Io): Promise<DomainRow[]> {
  const app = await openApp(name);
  const domain = domainName(typed);
  requireHost(app, domain);
  requireMaker(app, [domain]);
  await noteSuccess(domain, "acme");
  await tell(app, domain, false, io);
  return domainsOf(app);
}

/** Orders new certificates now, for one name or all that dp orders. Throws DpError "command" when one fails. */
export async function renewNames(name: string, typed: string | undefined, isForced: boolean, io: Io) {
  const app = await openApp(name);
  const rows = await hostsOf(app);
  const own = typed === undefined ? null : domainName(typed);
  if (own !== null) requireHost(app, own);
  const hasFolder = await followFolders(app, own, io);
  const due = rows.filter((row) => row.source !== "file" && (own === null || row.name === own));
  if (due.length === 0 && hasFolder) return domainsOf(app);
  if (due.length === 0) throw new DpError("usage", `dp gets no certificate for ${own ?? name}: it has your own`);
  requireMaker(
    app,
    due.map((row) => row.name),
  );
  for (const row of due) await tell(app, row.name, isForced, io);
  const failed = (await hostsOf(app)).filter((row) => row.error !== null && due.some(({ name }) => name === row.name));
  if (failed.length > 0)
    throw new DpError("command", `no new certificate for ${failed.map((row) => row.name).join(", ")}`);
  return domainsOf(app);
}

/** Takes the certificates of folders that others renew; answers whether there is one among the names. */
async function followFolders(app: App, own: string | null, io: Io): Promise<boolean> {
  const all = app.server.domains.filter((domain) => own === null || domain.name === own);
  const asked = all.filter((domain) => domain.certificate !== undefined);
  for (const domain of asked)
    if (await follow(app, domain)) io.info(`${domain.name}: took the new certificate of ${domain.certificate}`);
  return asked.length > 0;
}

/** A CA allows many orders, but not all at once. */
const PER_RUN = 20;

/** What the timer runs: renews what is due of all apps. One name that fails stops no other. */
export async function renewAll(say: (line: string) => void): Promise<void> {
  let left = PER_RUN;
  for (const name of await appNames()) {
    try {
      const app = await openApp(name);
      left -= await renewDue(app, left, say);
    } catch (error) {
      if (!(error instanceof DpError)) throw error;
      say(`${name}: ${messageOf(error)}`);
    }
  }
}
