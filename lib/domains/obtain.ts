// The certificate of one name: whether it is due, and how it is got.
import { join } from "node:path";
import { isWildcard } from "../config/domain-name.ts";
import { readTls, tlsFolder } from "../config/tls.ts";
import type { DomainConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { DpError, hostError, messageOf } from "../errors.ts";
import { readText, removeStaleTemps } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { order } from "./lego.ts";
import { keepers } from "./owners.ts";
import { certificateOf, folderOf, openFolder, writePair, type Certificate } from "./pair.ts";
import { orderError } from "./problem.ts";
import { clearChallenges, reachOf } from "./reach.ts";
import { isWaiting, noteFailure, noteOrder, noteSuccess, noteTry, sourceOf, stateOf, type NameState } from "./state.ts";
import { wantedTime } from "./window.ts";

const DAY = 24 * 3_600_000;

/** How a try went: a certificate, or why there is none. */
export type Obtained = { certificate: Certificate; addresses: string[] } | { problem: string };

/**
 * Whether a certificate is due: there is none, or a third of its lifetime is left, or the time has come that its CA has
 * named. Without the CA's time, and at the latest, when a sixth is left.
 */
export function isDue(certificate: Certificate | null, wanted: number | null = null): boolean {
  if (certificate === null) return true;
  const [from, until] = [Date.parse(certificate.from), Date.parse(certificate.until)];
  const part = (until - from) / (wanted === null ? 3 : 6);
  return until - Date.now() < part || (wanted !== null && wanted <= Date.now());
}

/**
 * Gets a new certificate for a name and makes the front use it; the old one stays until then. `isForced`: the check
 * that the name leads here is left out. The failure is kept with the time of the next try.
 */
export async function obtain(app: App, name: string, isForced: boolean, waiting?: () => void): Promise<Obtained> {
  await openFolder(tlsFolder(), 0o711);
  const file = join(tlsFolder(), "order.lock");
  // One order at a time: they share the account.
  const lock = await waitForLock(file, () => undefined, waiting ?? (() => undefined));
  try {
    await noteTry(name);
    await clearChallenges();
    const isInternal = app.server.domains.some((domain) => domain.name === name && domain.tls === "internal");
    const { key, chain, addresses } = isInternal ? await issued(name) : await ordered(name, isForced);
    const { certificate } = await writePair(name, key, chain, app.front.keyReader);
    await app.front.certify?.(name);
    // A clock that is far ahead would have it renewed again and again.
    await noteSuccess(name, isInternal ? "internal" : "acme", isDue(certificate) ? DAY : null);
    return { certificate, addresses };
  } catch (thrown) {
    const error = hostError(thrown);
    if (!(error instanceof DpError)) throw error;
    const problem = [messageOf(error), ...(error.hint === undefined ? [] : [error.hint])].join("; ");
    await noteFailure(name, problem, error.reason ?? null);
    return { problem };
  } finally {
    lock.release();
  }
}

/** What a try brings: key and chain as PEM, and the addresses by which the name leads here. */
type Made = { key: string; chain: string; addresses: string[] };

async function issued(name: string): Promise<Made> {
  const { key, chain } = await (await import("./internal.ts")).issue(name);
  return { key, chain, addresses: [] };
}

async function ordered(name: string, isForced: boolean): Promise<Made> {
  const addresses = isForced ? [] : await ownAddresses(name);
  const later = await noteOrder(name);
  if (later !== null) throw orderError("three orders in an hour are enough for one name", later);
  const { key, chain } = await order(name);
  return { key, chain, addresses };
}

/** The addresses of a name that leads here. Throws DpError "command". With DNS challenges it need not lead here. */
async function ownAddresses(name: string): Promise<string[]> {
  if ((await readTls()).dns !== undefined) return [];
  if (isWildcard(name)) throw orderError("a wildcard needs dns in /etc/dp/tls.yml, or a certificate of your own");
  const { addresses, problem } = await reachOf(name);
  if (problem !== null) throw orderError(problem);
  return addresses;
}

/** Takes the certificate of a folder that somebody else renews over, if it has changed; answers whether it has. */
export async function follow(app: App, { name, certificate: folder }: DomainConfig): Promise<boolean> {
  if (folder === undefined) return false;
  const [key, chain] = await Promise.all(
    ["privkey.pem", "fullchain.pem"].map(async (file) => {
      const text = await readText(join(folder, file));
      if (text === null) throw new DpError("config", `${join(folder, file)} does not exist`);
      return text;
    }),
  );
  if (!(await writePair(name, key!, chain!, app.front.keyReader)).isNew) return false;
  await app.front.certify?.(name);
  await noteSuccess(name, "file");
  return true;
}

/**
 * Renews what is due of an app's names; `say` gets a sentence for each try, and for what goes wrong with a name, which
 * stops no other one. Answers how many orders were made.
 */
export async function renewDue(app: App, most: number, say: (line: string) => void): Promise<number> {
  let orders = 0;
  const kept = await keepers();
  const { domains } = app.server;
  // A name that several share, or that has several paths, is looked after once.
  const own = domains.filter(({ name }, at) => domains.findIndex((other) => other.name === name) === at);
  for (const domain of own.filter(({ name }) => kept.get(name) === app.name)) {
    try {
      if (await lookAfter(app, domain, orders < most, (line) => say(`${domain.name}: ${line}`))) orders++;
    } catch (thrown) {
      const error = hostError(thrown);
      if (!(error instanceof DpError)) throw error;
      say(`${domain.name}: ${messageOf(error)}`);
    }
  }
  return orders;
}

/** The same for the timer: a failure is kept for doctor. */
async function followOrNote(app: App, domain: DomainConfig): Promise<boolean> {
  try {
    return await follow(app, domain);
  } catch (thrown) {
    const error = hostError(thrown);
    if (error instanceof DpError) await noteFailure(domain.name, messageOf(error), null);
    throw error;
  }
}

/** Whether it is due, also by what its CA wants. */
async function isDueNow(name: string, state: NameState, certificate: Certificate | null): Promise<boolean> {
  const wanted = state.source === "acme" ? await wantedTime(name) : null;
  // A CA that wants even a new certificate renewed must not get an order at each look.
  const isTooSoon = wanted !== null && wanted <= Date.now() && Date.parse(state.tried ?? "") > Date.now() - DAY;
  return isDue(certificate, isTooSoon ? null : wanted);
}

/** Does for one name what is to be done now; answers whether that was an order. */
async function lookAfter(app: App, domain: DomainConfig, isFree: boolean, say: (line: string) => void) {
  const { name } = domain;
  // What a renewal left that was killed.
  await removeStaleTemps(folderOf(name));
  if (domain.certificate !== undefined && (await followOrNote(app, domain))) {
    say(`took the new certificate of ${domain.certificate}`);
    return false;
  }
  const [state, certificate] = [await stateOf(name), await certificateOf(name)];
  const source = sourceOf(domain, state);
  if (source === "file" || (source === state.source && !(await isDueNow(name, state, certificate)))) {
    // Whoever wrote it may have been killed before the front was told; to tell it again changes nothing.
    if (certificate !== null) await app.front.certify?.(name);
    if (state.error !== null) await noteSuccess(name, state.source);
    return false;
  }
  if (isWaiting(state) || !isFree) return false;
  const got = await obtain(app, name, false);
  say("problem" in got ? got.problem : `has a new certificate, until ${got.certificate.until}`);
  return true;
}
