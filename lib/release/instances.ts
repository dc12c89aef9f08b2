// The instances of an app: which run, which should, and the way back to the live one.
import { basename } from "node:path";
import { DpError } from "../errors.ts";
import { waitUntilHealthy, type Patient } from "../health/health.ts";
import { factsOfRelease, instanceOf, takeInstancePort, type InstanceFacts } from "./instance.ts";
import type { Io } from "../host/io.ts";
import type { Manager } from "../contracts/manager.ts";
import { givePortBack, hasPort } from "./ports.ts";
import { listener } from "../host/process/process.ts";
import { knownInstances, managerOf } from "./manager.ts";
import { isWeb } from "../paths.ts";
import { front } from "../registry.ts";
import { stoppedIds } from "./processes.ts";
import { routeOf, targetOf } from "./route.ts";
import type { InstanceName } from "../host/instance.ts";
import { describeOwners } from "../host/process/port-owners.ts";
import type { HealthCheck, ServerConfig } from "../config/types.ts";
import { frontNames } from "../config/kinds.ts";

/** Who listens on a port and is no instance of this app. */
export const strangersOn = async (app: string, port: number, managed: Manager) =>
  (await ownersOf(app, port, managed)).others;

/** Throws DpError "host" when the port is held by anything but an instance of this app. */
export async function requireFreePort(app: string, port: number, managed: Manager): Promise<void> {
  const others = await strangersOn(app, port, managed);
  if (others.length === 0) return;
  throw new DpError("host", `port ${port} is held by ${await describeOwners(others)}`, {
    hint: `end that process, or give the app another port: dp setup ${app} --port N`,
  });
}

/**
 * Makes the app's front hold the public port, and no other front: config.yml may name another one than at the last
 * deploy. An app that held the port itself is stopped for it, once.
 */
export async function takePublicPort(app: string, server: ServerConfig, managed: Manager, io: Io): Promise<void> {
  for (const other of frontNames()) if (other !== server.front) await (await front(other)).remove(app, io);
  const holder = await front(server.front);
  if (
    holder.holdsPort &&
    (await holder.status(app)) === null &&
    (await ownersOf(app, server.port, managed)).own.length > 0
  ) {
    io.warn(`${app} held port ${server.port} itself, and stops while the ${holder.name} takes it`);
    await stopOthers(app, [], managed, io);
  }
  await holder.setup(await routeOf(app, server), io);
}

/** Who listens on a port: instances of the app, and others. */
async function ownersOf(app: string, port: number, managed: Manager) {
  const owners = await listener(port);
  const own = new Set<number>();
  for (const id of owners.length > 0 ? await managed.instances(app) : []) {
    if ((await managed.published?.({ app, id }))?.ports.includes(port)) return { own: owners, others: [] };
    for (const pid of await managed.pids({ app, id })) own.add(pid);
  }
  const isOwn = ({ pid }: { pid: number | null }) => pid !== null && own.has(pid);
  return { own: owners.filter(isOwn), others: owners.filter((owner) => !isOwn(owner)) };
}

/**
 * The port that an instance can be started on. Behind a front another one is taken when somebody else has come to
 * hold it; the public port has no other: throws DpError "host".
 */
export async function usablePort(facts: InstanceFacts, managed: Manager): Promise<number> {
  const name = { app: facts.app, id: basename(facts.release) };
  for (let tries = 0; ; tries++) {
    const port = await takeInstancePort(facts);
    try {
      await requireFreePort(facts.app, port, managed);
      return port;
    } catch (error) {
      if (port === facts.server.port || tries === 5) throw error;
      await givePortBack(name);
    }
  }
}

/** Stops every web instance of the app but those; answers the IDs of the stopped ones. */
export async function stopOthers(
  app: string,
  keep: readonly (string | null)[],
  managed: Manager,
  io: Io,
): Promise<string[]> {
  const others = (await managed.instances(app)).filter((id) => isWeb(id) && !keep.includes(id));
  for (const id of others) await managed.stop({ app, id }, io);
  return others;
}

/** For strategy restart: stops what serves, once the front holds its requests back; answers when, or null when nothing served. */
export async function makeRoom(
  app: string,
  id: string,
  live: string | null,
  server: ServerConfig,
  io: Io,
): Promise<string | null> {
  const holder = await front(server.front);
  const stoppedAt = new Date().toISOString();
  await holder.hold(app, server.holdTimeout, io);
  if (live) await holder.drain(app, live, server.drainTimeout, io);
  const stopped = await stopOthers(app, [id], await managerOf(server), io);
  return live && stopped.length > 0 ? stoppedAt : null;
}

/** Forgets a stopped instance: what its manager kept, and its port. Safe to repeat. */
export async function forget(name: InstanceName, managed: Manager, io: Io): Promise<void> {
  await managed.forget(name, io);
  await givePortBack(name);
}

/** The same for all instances that a release ever had. */
export async function forgetRelease(app: string, release: string, managed: Manager, io: Io): Promise<void> {
  const known = (await knownInstances(app, release)).filter((id) => id !== release);
  for (const id of [release, ...known]) await forget({ app, id }, managed, io);
}

/**
 * Makes a release serve that did so before: starts its web process unless it runs, waits until it is healthy, and
 * points the front at it. What was stopped by hand stays so. Throws DpError "unhealthy".
 */
export async function serveAgain(app: string, id: string, server: ServerConfig, io: Io): Promise<void> {
  const managed = await managerOf(server);
  const holder = await front(server.front);
  const facts = await factsOrNone(app, id, server);
  if (facts === null) return;
  const { healthCheck } = facts.config;
  if (healthCheck === undefined) return;
  if ((await stoppedIds(app)).has(id)) {
    await holder.point(app, null, io);
    return holder.resume(app, io);
  }
  const isRunning = (await managed.status({ app, id })).state === "running";
  // One that runs where nobody knows can only be started anew.
  if (!isRunning || (holder.holdsPort && !(await hasPort({ app, id }, managed)))) {
    // Without a front, or by strategy restart, two must never run at once.
    if (server.strategy === "restart") await stopOthers(app, [id], managed, io);
    await managed.start(await instanceOf(facts, await usablePort(facts, managed)), io);
  }
  const port = await takeInstancePort(facts);
  await waitUntilHealthy(patientOf(app, id, healthCheck, port, managed), io);
  await holder.point(app, await targetOf({ app, id }, port, managed), io);
  await holder.resume(app, io);
}

// What serves already needs no record of it, and a damaged one is no reason to be stuck.
async function factsOrNone(app: string, id: string, server: ServerConfig): Promise<InstanceFacts | null> {
  try {
    return await factsOfRelease(app, id, server);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const holder = await front(server.front);
    const { state } = await (await managerOf(server)).status({ app, id });
    const route = await holder.status(app);
    const isServed = !holder.holdsPort || (route?.target?.id === id && !route.isHeld);
    if (state === "running" && isServed) return null;
    throw error;
  }
}

/** An instance as health.ts asks it. */
export function patientOf(app: string, id: string, check: HealthCheck, port: number, managed: Manager): Patient {
  return { name: { app, id }, manager: managed, check, port };
}
