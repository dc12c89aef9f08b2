// The relay's process: `bun … lib/fronts/relay/process.ts FOLDER`, in the foreground, until SIGTERM.
import { mkdirSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { DpError, messageOf } from "../../errors.ts";
import { tryFlock } from "../../host/process/libc.ts";
import { apps, gate, makeApp, relay } from "./app.ts";
import { ACTIVE, HANDSHAKE, IDLE, LINGER, TUNNEL } from "./client-connection.ts";
import { listenControl } from "./control.ts";
import { closeTunnel } from "./drain.ts";
import { listenEdge, openEdge, stopEdge } from "./edge.ts";
import { abort, linger } from "./ending.ts";
import { IDLE_GRACE, RELISTEN_TIME, STOP_TIME, TUNNEL_GRACE } from "./limits.ts";
import { dropUnclaimed, listen, unlisten } from "./listening.ts";
import { log } from "./log.ts";
import { checkOwners } from "./owner.ts";
import { sendAllLate } from "./outlet.ts";
import { loadState } from "./state.ts";
import { startSweep } from "./sweep.ts";
import { notify } from "./systemd.ts";
import type { Client } from "./types.ts";

/** Starts the relay; its sockets accept connections when this returns. Throws DpError "host". */
export async function startRelay(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The lock is held as long as the process lives: two relays would take each other's control socket.
  if (!tryFlock(openSync(join(folder, "relay.lock"), "a", 0o600)))
    throw new DpError("host", `another relay runs in ${folder}`);
  const state = await loadState(folder);
  for (const route of state.routes) apps.set(route.app, makeApp(route));
  for (const app of apps.values()) listen(app);
  if (state.edge !== null) await openEdge(state.edge);
  dropUnclaimed();
  checkOwners();
  startSweep(all);
  setInterval(() => {
    if (relay.isStopping) return;
    for (const app of apps.values()) if (app.listener === null) listen(app);
    void listenEdge();
  }, RELISTEN_TIME);
  await listenControl(folder);
  notify("READY=1");
  log(`the relay runs with ${apps.size} apps, pid ${process.pid}`);
}

/** The apps, and the connections that belong to none yet. */
const all = () => [...apps.values(), gate];

const clients = (...phases: number[]) =>
  all()
    .flatMap((app) => [...app.clients])
    .filter((client) => phases.includes(client.phase));

/**
 * Ends connections that have been idle for a while; `since` records from when. Not right after an answer: the client may
 * be sending its next request, which still gets its answer, with `Connection: close`.
 */
function endIdle(since: Map<Client, number>): void {
  const now = performance.now();
  for (const client of clients(IDLE)) {
    if (!since.has(client)) since.set(client, now);
    else if (now - since.get(client)! >= IDLE_GRACE) linger(client);
  }
}

/** Stops accepting connections, and finishes what is in flight. */
export async function stopRelay(): Promise<void> {
  if (relay.isStopping) return;
  relay.isStopping = true;
  notify("STOPPING=1");
  log("the relay stops");
  for (const app of apps.values()) unlisten(app, false);
  stopEdge();
  const until = performance.now() + STOP_TIME;
  const isOver = () => performance.now() > until;
  const idle = new Map<Client, number>();
  while ((endIdle(idle), clients(ACTIVE, IDLE, HANDSHAKE).length > 0) && !isOver()) await Bun.sleep(20);
  for (const client of clients(TUNNEL)) closeTunnel(client);
  const grace = performance.now() + TUNNEL_GRACE;
  while (clients(TUNNEL, LINGER).length > 0 && performance.now() < grace) await Bun.sleep(20);
  const left = clients(ACTIVE, TUNNEL);
  for (const client of left) abort(client);
  log(`the relay has stopped; ${left.length} connections were cut`);
}

function exit(): void {
  sendAllLate();
  process.exit(0);
}

/** The whole program. Exits when it cannot start. */
export async function main(folder?: string): Promise<void> {
  process.on("SIGHUP", () => undefined);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stopRelay().then(exit));
  try {
    if (folder === undefined) throw new DpError("usage", "usage: process.ts FOLDER");
    await startRelay(resolve(folder));
  } catch (error) {
    log(`dp relay: ${messageOf(error)}`);
    process.exit(error instanceof DpError && error.exit === "usage" ? 2 : 8);
  }
}

if (import.meta.main) void main(process.argv[2]);
