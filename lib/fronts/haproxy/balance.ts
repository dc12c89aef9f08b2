// What dp does with the balancers of its HAProxy: add, drain, let back in, remove, and look.
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { proxyOf, readBalancers, writeBalancers, type Balancer, type Balancers } from "./balancers.ts";
import { locked, requireFree, unavailable } from "./change.ts";
import { inFlightFrom, statsFrom } from "./counts.ts";
import { driftFrom, keep, load, makeUser, stop } from "./process.ts";
import type { Kept } from "./routes.ts";
import { notRunning, processes, tellAll } from "./runtime.ts";

/** A server of a balancer as HAProxy sees it. */
export interface ServerState {
  name: string;
  address: string;
  /** Whether it gets requests. */
  isUp: boolean;
  isDrained: boolean;
  /** The result of the last check, as HAProxy names it: `L7OK/200`, `L4CON`. */
  check: string;
  /** Requests in its hand, and upgraded connections. */
  requests: number;
  tunnels: number;
}

/** A balancer and its servers. */
export interface BalancerState extends Omit<Balancer, "servers"> {
  /** Why it does not serve, or null. */
  error: string | null;
  servers: ServerState[];
}

/** Adds a balancer, or changes one; answers one sentence for each change. Servers that were drained stay so. */
export async function setBalancer(wanted: Balancer, io: Io): Promise<string[]> {
  const why = await unavailable();
  if (why !== null) throw new DpError("host", why);
  const made = await makeUser(io);
  return locked(async (kept) => {
    const before = await readBalancers();
    const old = before.get(wanted.name);
    const servers = Object.entries(wanted.servers).map(
      ([name, { address }]) => [name, { address, isDrained: old?.servers[name]?.isDrained === true }] as const,
    );
    const next = new Map(before).set(wanted.name, { ...wanted, servers: Object.fromEntries(servers) });
    if (old?.port !== wanted.port) {
      const own = [...kept.routes.values()].find(({ listen }) => listen.port === wanted.port)?.app;
      const other = [...before.values()].find(({ name, port }) => name !== wanted.name && port === wanted.port)?.name;
      if (own !== undefined || other !== undefined)
        throw new DpError("usage", `port ${wanted.port} is held for ${own ?? other}`, { hint: "--port N" });
      await requireFree(wanted.port, "choose another: --port N");
    }
    const isSame = JSON.stringify(next.get(wanted.name)) === JSON.stringify(old);
    if (isSame && (await driftFrom(kept)).length === 0) return made;
    const changes = await change(kept, next, before, io);
    return [...made, ...changes, `${wanted.name} listens on ${wanted.host}:${wanted.port}`];
  });
}

/** Loads other balancers; puts the former ones back when HAProxy cannot. */
async function change(kept: Kept, next: Balancers, before: Balancers, io: Io): Promise<string[]> {
  await writeBalancers(next);
  try {
    return await load(kept, kept, io, before);
  } catch (error) {
    await writeBalancers(before);
    throw error;
  }
}

/** Removes a balancer. Throws DpError "usage" when there is none of that name. */
export const removeBalancer = (name: string, io: Io): Promise<void> =>
  locked(async (kept) => {
    const before = await readBalancers();
    known(before, name);
    const next = new Map(before);
    next.delete(name);
    if (next.size + kept.routes.size > 0) return void (await change(kept, next, before, io));
    await stop(io);
    await writeBalancers(next);
    await keep(kept);
  });

function known(balancers: Balancers, name: string): Balancer {
  const found = balancers.get(name);
  if (found) return found;
  throw new DpError("usage", `there is no balancer ${JSON.stringify(name)}`, {
    lines: balancers.size > 0 ? [`there are ${[...balancers.keys()].join(", ")}`] : [],
    hint: "dp balancer",
  });
}

/**
 * Sends a server no new requests, or lets it back in. Throws DpError "usage" for an unknown one, and for the last one that
 * gets requests unless `isForced`.
 */
export async function setDrained(name: string, server: string, isDrained: boolean, isForced = false): Promise<void> {
  // A wrong name is not the fault of HAProxy.
  serverIn(known(await readBalancers(), name), server);
  if ((await processes()) === null) throw notRunning();
  if (isDrained && !isForced) await requireOther(name, server);
  await locked(async (kept) => {
    const before = await readBalancers();
    const balancer = known(before, name);
    const own = serverIn(balancer, server);
    const servers = { ...balancer.servers, [server]: { ...own, isDrained } };
    // The file that a restart reads comes first.
    await writeBalancers(new Map(before).set(name, { ...balancer, servers }));
    await keep(kept);
    await tellAll([`set server ${proxyOf(name)}/${server} state ${isDrained ? "drain" : "ready"}`]);
  });
}

function serverIn(balancer: Balancer, server: string) {
  const found = Object.hasOwn(balancer.servers, server) ? balancer.servers[server] : undefined;
  if (found) return found;
  throw new DpError("usage", `${balancer.name} has no server ${JSON.stringify(server)}`, {
    lines: [`it has ${Object.keys(balancer.servers).join(", ")}`],
  });
}

async function requireOther(name: string, server: string): Promise<void> {
  serverIn(known(await readBalancers(), name), server);
  const all = (await balancerStates()).find((each) => each.name === name)!.servers;
  if (all.some((each) => each.name !== server && each.isUp)) return;
  throw new DpError("usage", `${server} is the only server of ${name} that gets requests`, {
    hint: `dp balancer ready ${name} SERVER lets another one in; --force drains it anyway`,
  });
}

/** Waits until a server has no request in its hand, at most `timeout` ms; answers what is left. */
export async function emptied(name: string, server: string, timeout: number, io: Io): Promise<ServerState> {
  const end = performance.now() + timeout;
  for (;;) {
    const all = (await balancerStates()).find((each) => each.name === name)?.servers ?? [];
    const found = all.find((each) => each.name === server);
    if (found === undefined) throw new DpError("usage", `${name} has no server ${server} any more`);
    if (found.requests + found.tunnels === 0 || performance.now() > end) return found;
    await io.sleep(100);
  }
}

/** Every balancer with its servers, sorted by name. */
export async function balancerStates(): Promise<BalancerState[]> {
  const balancers = [...(await readBalancers()).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (balancers.length === 0) return [];
  const isRunning = (await processes()) !== null;
  return Promise.all(balancers.map((each) => (isRunning ? stateOf(each) : dead(each))));
}

function dead(balancer: Balancer): BalancerState {
  const servers = Object.entries(balancer.servers).map(([name, own]): ServerState => {
    const { address, isDrained } = own;
    return { name, address, isUp: false, isDrained, check: "", requests: 0, tunnels: 0 };
  });
  return { ...balancer, error: "HAProxy does not run", servers };
}

async function stateOf(balancer: Balancer): Promise<BalancerState> {
  const proxy = proxyOf(balancer.name);
  const state = dead(balancer);
  let isListening = false;
  for (const [worker, text] of await tellAll([`show stat ${proxy} 7 -1`, "show sess"])) {
    const rows = statsFrom(text, proxy);
    const flights = inFlightFrom(text, proxy, "http");
    if (worker.isCurrent) isListening = rows.get("FRONTEND")?.["status"] === "OPEN";
    for (const server of state.servers) {
      const [row, flight] = [rows.get(server.name), flights.get(server.name)];
      server.requests += flight?.requests ?? 0;
      server.tunnels += flight?.tunnels ?? 0;
      if (!worker.isCurrent || row === undefined) continue;
      server.isUp = !server.isDrained && (row["status"] ?? "").startsWith("UP");
      server.check = [row["check_status"], row["check_code"]].filter(Boolean).join("/");
    }
  }
  return { ...state, error: isListening ? null : "HAProxy runs without this balancer" };
}

/** One sentence for each part of HAProxy that is not as the balancers want it. */
export async function balancerDrift(): Promise<string[]> {
  return locked((kept) => driftFrom(kept));
}

/** Makes HAProxy serve the balancers again, after somebody changed or stopped it. */
export async function restoreBalancers(io: Io): Promise<string[]> {
  return locked(async (kept) => ((await driftFrom(kept)).length === 0 ? [] : load(kept, kept, io)));
}
