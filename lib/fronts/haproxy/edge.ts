// The two ports of all domains: whether HAProxy can have them, and how they are.
import type { Address, Edge } from "../../config/tls.ts";
import type { EdgePort, EdgeStatus } from "../../contracts/front.ts";
import type { Io } from "../../host/io.ts";
import { listener } from "../../host/process/process.ts";
import { isCopied } from "./certificates.ts";
import { certifiedBy } from "./converge.ts";
import { namesOf, wantedOf } from "./domains.ts";
import type { Kept } from "./routes.ts";
import { processes } from "./runtime.ts";

// Only domains need them.
const settingsNow = async (): Promise<Edge> => (await import("../../config/tls.ts")).edgeSettings();

/** How long a port that another front has just let go may stay taken, in ms. */
const GRACE = 1_000;

/** Why HAProxy cannot have a port, or null. It would share the port with another HAProxy without a word. */
async function problemOf({ port }: Address): Promise<string | null> {
  const own = await processes();
  const pids = own ? [own.master, ...own.workers.map(({ pid }) => pid)] : [];
  const others = (await listener(port)).filter(({ pid }) => pid === null || !pids.includes(pid));
  return others.length === 0 ? null : `port ${port} is taken by another program: ss -ltnp sport = :${port}`;
}

async function problemSoon(address: Address, io: Io): Promise<string | null> {
  const end = performance.now() + GRACE;
  let problem = await problemOf(address);
  while (problem !== null && performance.now() < end) {
    await io.sleep(20);
    problem = await problemOf(address);
  }
  return problem;
}

/**
 * The ports that HAProxy must listen on for the domains, or null. A port that somebody else has is a warning: every app
 * has its own port too, and a deploy does not fail because of the domains.
 */
export async function edgeFor(kept: Kept, io: Io): Promise<Edge | null> {
  if (namesOf(kept).length === 0) return null;
  const settings = await settingsNow();
  if (Bun.deepEquals(settings, kept.edge)) return kept.edge;
  for (const address of [settings.http, settings.https]) {
    const problem = await problemSoon(address, io);
    if (problem === null) continue;
    io.warn(`domains: ${problem}`);
    return kept.edge;
  }
  return settings;
}

/** Waits until HAProxy has let go of the ports: another front may be about to take them. */
export async function untilFree({ http, https }: Edge, io: Io): Promise<void> {
  const end = performance.now() + GRACE;
  for (const { port } of [http, https])
    while ((await listener(port)).length > 0 && performance.now() < end) await io.sleep(20);
}

/** The ports as they are now; null: no app has a domain, or HAProxy does not run. */
export async function edgeStatus(kept: Kept): Promise<EdgeStatus | null> {
  if (namesOf(kept).length === 0 || (await processes()) === null) return null;
  const { http, https } = kept.edge ?? (await settingsNow());
  return { http: await portOf(http, kept), https: await portOf(https, kept), certified: await certifiedIn(kept) };
}

/** The names whose newest certificates are in use. */
async function certifiedIn(kept: Kept): Promise<string[]> {
  const { edge } = kept;
  if (edge === null) return [];
  // A dp that was killed may have written a pair and not given it to HAProxy.
  return (await certifiedBy(await wantedOf(kept))).filter((name) => isCopied(edge, name));
}

async function portOf({ host, port }: Address, { edge }: Kept): Promise<EdgePort> {
  const error = edge === null ? ((await problemOf({ host, port })) ?? `HAProxy does not listen on port ${port}`) : null;
  return { host, port, error };
}
