// The instances of an app: which run, which should, and how to return to the live one.
import { basename } from "node:path";
import { DpError } from "../errors.ts";
import { waitUntilHealthy, type Candidate } from "../health/health.ts";
import { factsOfRelease, instanceOf, takeInstancePort, type InstanceFacts } from "./instance.ts";
import type { Io } from "../host/io.ts";
import type { App } from "../contracts/app.ts";
import type { RouteStatus } from "../contracts/front.ts";
import { givePortBack, hasPort } from "./ports.ts";
import { listener } from "../host/process/process.ts";
import { isWeb } from "../text/ids.ts";
import { front as frontNamed } from "../registry.ts";
import { stoppedIds } from "./processes.ts";
import { isSameTarget, routeOf, targetOf } from "./route.ts";
import { describeOwners } from "../host/process/port-owners.ts";
import type { HealthCheck } from "../config/types.ts";
import { frontNames } from "../config/kinds.ts";

/** Processes that listen on a port and do not belong to this app. */
export const strangersOn = async (app: App, port: number) => (await ownersOf(app, port)).others;

/** Throws DpError "host" when the port is held by anything but an instance of this app. */
export async function requireFreePort(app: App, port: number): Promise<void> {
  const others = await strangersOn(app, port);
  if (others.length === 0) return;
  throw new DpError("host", `port ${port} is held by ${await describeOwners(others)}`, {
    hint: `end that process, or give the app another port: dp setup ${app.name} --port N`,
  });
}

/**
 * Makes the app's front hold the public port. Before it takes it, other fronts let go of it, and an app that held it
 * itself is stopped, once.
 */
export async function takePublicPort(app: App, io: Io): Promise<void> {
  const { name, server, front } = app;
  // First: it is refused for a front that would open an app in maintenance, and then the other one must still be there.
  const route = await routeOf(app);
  await front.setup(route, io, async (isKnown) => {
    await leaveOtherFronts(app, io);
    if (isKnown || !front.holdsPort || (await ownersOf(app, server.port)).own.length === 0) return;
    io.warn(`${name} held port ${server.port} itself, and stops while the ${front.name} takes over`);
    await stopOthers(app, [], io);
  });
}

/** Whether the app's front holds the public port, as between two deploys: to take it then changes next to nothing. */
async function holdsPublicPort({ name, server: { host, port }, front }: App): Promise<boolean> {
  const route = front.holdsPort ? await front.status(name, true) : null;
  return route?.isListening === true && route.listen.host === host && route.listen.port === port;
}

/** Makes every front but its own forget the app: config.yml may have named another one at the last deploy. */
export async function leaveOtherFronts({ name, server }: App, io: Io): Promise<void> {
  for (const other of frontNames()) if (other !== server.front) await (await frontNamed(other)).remove(name, io);
}

/** The listeners on a port: instances of the app, and others. */
async function ownersOf({ name, manager }: App, port: number) {
  const owners = await listener(port);
  const own = new Set<number>();
  for (const id of owners.length > 0 ? await manager.instances(name) : []) {
    if ((await manager.published?.({ app: name, id }))?.ports.includes(port)) return { own: owners, others: [] };
    for (const pid of await manager.pids({ app: name, id })) own.add(pid);
  }
  const isOwn = ({ pid }: { pid: number | null }) => pid !== null && own.has(pid);
  return { own: owners.filter(isOwn), others: owners.filter((owner) => !isOwn(owner)) };
}

/**
 * A port on which the instance can be started. Behind a front it gets another one if somebody else has taken its own.
 * The public port has no substitute: throws DpError "host".
 */
export async function usablePort({ app, release }: Pick<InstanceFacts, "app" | "release">): Promise<number> {
  for (let tries = 0; ; tries++) {
    const port = await takeInstancePort({ app, release });
    try {
      await requireFreePort(app, port);
      return port;
    } catch (error) {
      if (port === app.server.port || tries === 5) throw error;
      await givePortBack(app, basename(release));
    }
  }
}

/** Stops every web instance of the app except those in `keep`; answers the IDs of the stopped ones. */
export async function stopOthers({ name, manager }: App, keep: readonly (string | null)[], io: Io): Promise<string[]> {
  const others = (await manager.instances(name)).filter((id) => isWeb(id) && !keep.includes(id));
  for (const id of others) await manager.stop({ app: name, id }, io);
  return others;
}

/**
 * With strategy "restart": stops what serves, once the front holds its requests back; answers when, or null when
 * nothing served.
 */
export async function makeRoom(app: App, id: string, live: string | null, io: Io): Promise<string | null> {
  const { name, server, front } = app;
  const stoppedAt = new Date().toISOString();
  await front.hold(name, server.holdTimeout, io);
  if (live) await front.drain(name, live, server.drainTimeout, io);
  const stopped = await stopOthers(app, [id], io);
  return live && stopped.length > 0 ? stoppedAt : null;
}

/** What is known already when a release serves again. */
export interface Known {
  /** What the front does now: it need not be told again. */
  route?: RouteStatus | null;
  facts?: InstanceFacts;
  /** When its web process was started, in ms of performance.now. */
  startedAt?: number | null;
}

/**
 * Starts a web instance that does not run; answers its port, and when `live` was stopped for it. `isPrepared`: its manager
 * has made sure that nothing is left of it.
 */
export async function startCold(
  facts: InstanceFacts,
  { live, isPrepared }: { live: string | null; isPrepared: boolean },
  io: Io,
): Promise<{ port: number; stoppedAt: string | null }> {
  const { app, release } = facts;
  const { server, manager } = app;
  // What the front holds already is made sure of while the release boots.
  const isHeld = server.strategy === "blue-green" && (await holdsPublicPort(app));
  if (!isHeld) await takePublicPort(app, io);
  const port = await usablePort(facts);
  const instance = await instanceOf(facts, port);
  const stoppedAt = server.strategy === "restart" ? await makeRoom(app, basename(release), live, io) : null;
  if (!isPrepared) await manager.stop(instance, io);
  await requireFreePort(app, port);
  await manager.start(instance, io);
  if (isHeld) await takePublicPort(app, io);
  return { port, stoppedAt };
}

/**
 * Makes an earlier release serve again: starts its web process unless it runs, waits until it is healthy, and points
 * the front at it. Instances that were stopped by hand stay stopped. Throws DpError "unhealthy".
 */
export async function serveAgain(app: App, id: string, io: Io, known: Known = {}): Promise<void> {
  const { name, server, manager, front } = app;
  const { route = null, startedAt = null } = known;
  const facts = known.facts ?? (await factsOrNone(app, id));
  if (facts === null) return;
  const { healthCheck } = facts.config;
  if (healthCheck === undefined) return;
  if ((await stoppedIds(app)).has(id)) {
    await front.point(name, null, io);
    return front.resume(name, io);
  }
  const isRunning = startedAt !== null || (await manager.status({ app: name, id })).state === "running";
  // If its port is unknown, a running instance can only be restarted.
  if (!isRunning || (front.holdsPort && !(await hasPort(app, id)))) {
    // Without a front, or with strategy "restart", two must never run at once.
    if (server.strategy === "restart") await stopOthers(app, [id], io);
    await manager.start(await instanceOf(facts, await usablePort(facts)), io);
  }
  const port = await takeInstancePort(facts);
  await waitUntilHealthy(candidateOf(app, id, healthCheck, port), io, startedAt);
  const target = await targetOf(app, id, port);
  if (route !== null && !route.isHeld && isSameTarget(route.target, target)) return;
  await front.point(name, target, io);
  await front.resume(name, io);
}

// A serving release needs no record of it, and a damaged record is no reason to be stuck.
async function factsOrNone(app: App, id: string): Promise<InstanceFacts | null> {
  try {
    return await factsOfRelease(app, id);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const { name, manager, front } = app;
    const { state } = await manager.status({ app: name, id });
    const route = await front.status(name);
    const isServed = !front.holdsPort || (route?.target?.id === id && !route.isHeld);
    if (state === "running" && isServed) return null;
    throw error;
  }
}

/** An instance in the form that health.ts checks. */
export function candidateOf({ name, manager }: App, id: string, check: HealthCheck, port: number): Candidate {
  return { name: { app: name, id }, manager, check, port };
}
