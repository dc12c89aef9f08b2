// What follows from `current`: which instances run, where the front points, what comes up at boot.
import type { ServerConfig } from "../config.ts";
import { liveId, previousId } from "./history.ts";
import { forget, serveAgain } from "./instances.ts";
import type { Io } from "../io.ts";
import { portOf } from "./ports.ts";
import { managerOf } from "./manager.ts";
import { front } from "../registry.ts";
import { routeOf } from "./route.ts";
import { warmIds } from "./warm.ts";

/**
 * Makes it true: the live instance runs and the front points at it, no other runs but warm ones, and it alone
 * comes up at boot. Answers one sentence for each change; none the second time.
 */
export async function reconcile(app: string, server: ServerConfig, io: Io): Promise<string[]> {
  const managed = await managerOf(server);
  const live = await liveId(app);
  const changes = await (await front(server.front)).setup(routeOf(app, server), io);
  changes.push(...(await stopStrays(app, server, live, io)));
  if (live) changes.push(...(await serveLive(app, server, live, io)));
  else await (await front(server.front)).point(app, null, io);
  if (await managed.enable(app, live, io)) changes.push(live ? `enabled ${app}@${live}` : `enabled nothing`);
  return changes;
}

/**
 * The part of it that is quick and cannot fail for the live release's own reasons: a deploy may be what mends that.
 * What `start` does anyway is left to it.
 */
export async function tidy(app: string, server: ServerConfig, io: Io): Promise<string[]> {
  const live = await liveId(app);
  const changes = await stopStrays(app, server, live, io);
  const holder = await front(server.front);
  const port = live === null ? null : await portOf({ app, id: live });
  const route = await holder.status(app);
  const isRunning = live !== null && (await (await managerOf(server)).status({ app, id: live })).state === "running";
  if (!isRunning || port === null || route === null) return changes;
  if (route.target?.id === live && route.target.port === port) return changes;
  await holder.point(app, { id: live, port }, io);
  return [...changes, `pointed the front at ${app}@${live}`];
}

async function stopStrays(app: string, server: ServerConfig, live: string | null, io: Io): Promise<string[]> {
  const managed = await managerOf(server);
  const warm = (await warmIds(app)).filter((id) => id !== live);
  const changes: string[] = [];
  for (const id of await managed.instances(app)) {
    if (id === live || warm.includes(id)) continue;
    await managed.stop({ app, id }, io);
    changes.push(`stopped ${app}@${id}, which is not live`);
    await forget({ app, id }, managed, io);
  }
  const previous = await previousId(app);
  if (previous && previous !== live && !warm.includes(previous)) await forget({ app, id: previous }, managed, io);
  return changes;
}

async function serveLive(app: string, server: ServerConfig, live: string, io: Io): Promise<string[]> {
  const managed = await managerOf(server);
  const holder = await front(server.front);
  const port = await portOf({ app, id: live });
  const route = await holder.status(app);
  const isPointed = !holder.holdsPort || (route?.target?.id === live && route.target.port === port && !route.isHeld);
  const isRunning = (await managed.status({ app, id: live })).state === "running";
  if (isRunning && isPointed) return [];
  await serveAgain(app, live, server, io);
  return [
    ...(isRunning ? [] : [`started ${app}@${live}`]),
    ...(isPointed ? [] : [`pointed the front at ${app}@${live}`]),
  ];
}
