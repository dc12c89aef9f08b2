// Whether a name really leads to this server: asked over its addresses, before anything is asked of a CA.
import { randomBytes } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { dirname, join } from "node:path";
import { edgeSettings, readTls, tlsFolder } from "../config/tls.ts";
import { codeOf, messageOf } from "../errors.ts";
import { direct } from "../health/probe.ts";
import { namesIn, removeFile, writeFileAtomic } from "../host/files.ts";
import { shown } from "../text/text.ts";
import { openFolder } from "./pair.ts";

const CHALLENGES = ".well-known/acme-challenge";
const PATIENCE = 10_000;

/** The folder that is served under /.well-known/acme-challenge of every name. */
export async function challengeFolder(): Promise<string> {
  const { challenges } = await edgeSettings();
  const folder = join(challenges, CHALLENGES);
  await openFolder(tlsFolder(), 0o711);
  for (const path of [challenges, dirname(folder), folder]) await openFolder(path, 0o755);
  return folder;
}

/** Removes the answers of orders that were killed. */
export async function clearChallenges(): Promise<void> {
  const folder = await challengeFolder();
  for (const name of await namesIn(folder)) await removeFile(join(folder, name));
}

/** Where a name leads. */
export interface Reach {
  /** Its addresses in the DNS. */
  addresses: string[];
  /** Why it does not lead here, one sentence; null: it does. */
  problem: string | null;
}

/** Asks each address of a name for a random word of this server's. */
export async function reachOf(name: string): Promise<Reach> {
  const addresses = await resolve(name);
  if (typeof addresses === "string") return { addresses: [], problem: addresses };
  const word = `dp-${randomBytes(16).toString("hex")}`;
  const file = join(await challengeFolder(), word);
  await writeFileAtomic(file, word, 0o644);
  try {
    const { http } = (await readTls()).public;
    const problems = await Promise.all(addresses.map((address) => problemAt(name, address, http, word)));
    return { addresses, problem: problems.find((problem) => problem !== null) ?? null };
  } finally {
    await removeFile(file);
  }
}

/** The addresses of a name, or why there are none. */
async function resolve(name: string): Promise<string[] | string> {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  const { resolver: server } = await readTls();
  if (server !== undefined) resolver.setServers([server]);
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const addresses = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (addresses.length > 0) return addresses;
  const why = found.map((one) => (one.status === "rejected" ? codeOf(one.reason) : "")).find((code) => !NONE.has(code));
  if (why === undefined) return `${name} has no address in the DNS: add an A record with this server's address`;
  return `the DNS does not answer for ${name}: ${why ?? "no reason is known"}`;
}

const NONE = new Set<string | undefined>(["ENODATA", "ENOTFOUND", "ENODOMAIN", "DNS_ENODATA", "DNS_ENOTFOUND", ""]);

async function problemAt(name: string, address: string, port: number, word: string): Promise<string | null> {
  const host = address.includes(":") ? `[${address}]` : address;
  const record = address.includes(":") ? "its AAAA record" : "its A record";
  const where = `${name} leads to ${address} (${record})`;
  try {
    const answer = await direct(`http://${host}:${port}/${CHALLENGES}/${word}`, {
      headers: { Host: name, Connection: "close" },
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = (await answer.text()).slice(0, 200);
    if (text.trim() === word) return null;
    const server = answer.headers.get("Server");
    const by = server === null ? "" : ` by ${shown(server).slice(0, 40)}`;
    return `${where}, where another web server answers port ${port}: ${answer.status}${by}`;
  } catch (error) {
    const why = error instanceof Error && error.name === "TimeoutError" ? "no answer within 10 s" : messageOf(error);
    return `${where}, where port ${port} cannot be reached: ${why}`;
  }
}
