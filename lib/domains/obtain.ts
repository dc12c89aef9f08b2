// The certificate of one name: whether it is due, and how it is got.
import { join } from "node:path";
import { isWildcard } from "../config/domain-name.ts";
import { readTls, tlsFolder } from "../config/tls.ts";
import type { DomainConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { DpError, messageOf } from "../errors.ts";
import { readText } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { order, orderError } from "./lego.ts";
import { certificateOf, openFolder, writePair, type Certificate } from "./pair.ts";
import { reachOf } from "./reach.ts";
import { note, noteFailure, noteOrder, sourceOf, stateOf } from "./state.ts";

/** How a try went: a certificate, or why there is none. */
export type Obtained = { certificate: Certificate; addresses: string[] } | { problem: string };

/** Whether a certificate is due: there is none, or a third of its lifetime is left. */
export function isDue(certificate: Certificate | null): boolean {
  if (certificate === null) return true;
  const [from, until] = [Date.parse(certificate.from), Date.parse(certificate.until)];
  return until - Date.now() < (until - from) / 3;
}

/**
 * Gets a new certificate for a name and makes the front use it; the old one stays until then. `isForced`: the check
 * that the name leads here is left out. The failure is kept with the time of the next try.
 */
export async function obtain(app: App, name: string, isForced: boolean): Promise<Obtained> {
  await openFolder(tlsFolder(), 0o711);
  const file = join(tlsFolder(), "order.lock");
  // One order at a time: they share the account.
  const lock = await waitForLock(
    file,
    () => undefined,
    () => undefined,
  );
  try {
    const isInternal = app.server.domains.some((domain) => domain.name === name && domain.tls === "internal");
    const { key, chain, addresses } = isInternal ? await issued(name) : await ordered(name, isForced);
    const { certificate } = await writePair(name, key, chain);
    await note(name, { source: isInternal ? "internal" : "acme", tries: 0, next: null, error: null });
    await app.front.certify?.(name);
    return { certificate, addresses };
  } catch (error) {
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
      if (text === null) throw new DpError("config", `${name}: ${join(folder, file)} does not exist`);
      return text;
    }),
  );
  if (!(await writePair(name, key!, chain!)).isNew) return false;
  await note(name, { source: "file", tries: 0, next: null, error: null });
  await app.front.certify?.(name);
  return true;
}

/** Whether a certificate is to be got now: it is due, or of somebody else than config.yml says, and no pause holds. */
async function isItsTurn(domain: DomainConfig): Promise<boolean> {
  const state = await stateOf(domain.name);
  const source = sourceOf(domain, state);
  if (source === "file" || (state.next !== null && Date.parse(state.next) > Date.now())) return false;
  return state.source !== source || isDue(await certificateOf(domain.name));
}

/** Renews what is due of an app's names; `say` gets a sentence for each try. Answers how many orders were made. */
export async function renewDue(app: App, most: number, say: (line: string) => void): Promise<number> {
  let orders = 0;
  for (const domain of app.server.domains) {
    const { name } = domain;
    if (domain.certificate !== undefined) {
      if (await follow(app, domain)) say(`${name}: took the new certificate of ${domain.certificate}`);
      continue;
    }
    if (!(await isItsTurn(domain)) || orders >= most) continue;
    orders++;
    const got = await obtain(app, name, false);
    say(
      "problem" in got ? `${name}: ${got.problem}` : `${name}: has a new certificate, until ${got.certificate.until}`,
    );
  }
  return orders;
}
