// What follows from `current`: which instances run, where the front points, what comes up at boot and by the clock.
import { join } from "node:path";
import { setCron } from "../cron/cron.ts";
import { requireCurrent } from "./current.ts";
import { liveId, previousId, releaseBefore } from "./history.ts";
import { factsOfRelease, type InstanceFacts } from "./instance.ts";
import { removeStaleTemps } from "../host/files.ts";
import { point } from "../host/link.ts";
import { forget, forgetRelease, serveAgain } from "./instances.ts";
import type { Io } from "../host/io.ts";
import type { Target } from "../contracts/front.ts";
import type { Manager } from "../contracts/manager.ts";
import { isWeb, places, releaseOf } from "../paths.ts";
import { portOf } from "./ports.ts";
import { managerOf } from "./manager.ts";
import { hasWeb, wantedIds } from "./processes.ts";
import { front } from "../registry.ts";
import { routeOf, targetOf } from "./route.ts";
import { straysOf, wantedOf } from "./wanted.ts";
import { warmIds } from "./warm.ts";
import { startInstances } from "./workers.ts";
import type { ServerConfig } from "../config/types.ts";

/** Removes the temp files and links that a killed dp left among the app's state. */
export async function sweep(app: string): Promise<void> {
  const { base, runs, instances, releases } = places(app);
  for (const folder of [base, runs, instances, releases]) await removeStaleTemps(folder);
}

/**
 * Makes it true: the live release's processes run at their scale and the front points at its web process, nothing else
 * runs but warm releases and jobs under way, and exactly that comes up at boot. Answers `changes`, one sentence for each;
 * none the second time. Throws DpError "host", and changes nothing, when `current` is damaged.
 */
export async function reconcile(app: string, server: ServerConfig, io: Io, changes: string[] = []): Promise<string[]> {
  await requireCurrent(app);
  await sweep(app);
  const managed = await managerOf(server);
  const live = await liveId(app);
  const facts = live === null ? null : await factsOfRelease(app, live, server);
  const wanted = live && facts ? await wantedIds(app, live, facts.config, server) : [];
  changes.push(...(await mendPrevious(app, live)));
  changes.push(...(await holdPort(app, server, facts, io)));
  changes.push(...(await adoptAll(app, wanted, managed, io)));
  changes.push(...(await stopStrays(app, live, wanted, managed, io)));
  if (live && wanted.includes(live)) changes.push(...(await serveLive(app, server, live, io)));
  if (facts) {
    const started = await startInstances(
      facts,
      wanted.filter((id) => !isWeb(id)),
      managed,
      io,
    );
    changes.push(...started.map((id) => `started ${app}@${id}`));
  }
  changes.push(...(await setCron(app, facts?.config.cron ?? [], io)));
  if (await managed.enable(app, wanted, io)) {
    const what = wanted.map((id) => `${app}@${id}`).join(", ");
    changes.push(`enabled ${what || "nothing"}`);
  }
  return changes;
}

// First of all: one whose output nobody reads stands still, and answers nothing, when its pipe is full.
async function adoptAll(app: string, wanted: readonly string[], managed: Manager, io: Io): Promise<string[]> {
  const changes: string[] = [];
  for (const id of wanted)
    if (await managed.adopt?.({ app, id }, io))
      changes.push(`looked after ${app}@${id} again, whose supervisor was gone`);
  return changes;
}

// A rollback that was cut off between its two links leaves both at the same release.
async function mendPrevious(app: string, live: string | null): Promise<string[]> {
  if (live === null || (await previousId(app)) !== live) return [];
  const before = await releaseBefore(app, live);
  const { previous, releases } = places(app);
  await point(previous, before && join(releases, before));
  return [`pointed previous at ${before ?? "nothing"}`];
}

// An app without a web process has no port to hold; before the first release that is not known.
async function holdPort(app: string, server: ServerConfig, facts: InstanceFacts | null, io: Io): Promise<string[]> {
  const holder = await front(server.front);
  if (facts && !hasWeb(facts.config)) {
    await holder.remove(app, io);
    return [];
  }
  const changes = await holder.setup(await routeOf(app, server), io);
  if (facts === null) await holder.point(app, null, io);
  return changes;
}

/**
 * The part of it that is quick and cannot fail for the live release's own reasons: a deploy may be what mends that.
 * What `start` does anyway is left to it.
 */
export async function tidy(app: string, server: ServerConfig, io: Io): Promise<string[]> {
  const live = await liveId(app);
  const managed = await managerOf(server);
  const wanted = await wantedOf(app, live, server, managed);
  const changes = await adoptAll(app, wanted, managed, io);
  changes.push(...(await stopStrays(app, live, wanted, managed, io)));
  const holder = await front(server.front);
  const port = live === null ? null : await portOf({ app, id: live });
  const route = await holder.status(app);
  const isRunning = live !== null && (await managed.status({ app, id: live })).state === "running";
  if (!isRunning || port === null || route === null) return changes;
  const target = await targetOf({ app, id: live }, port, managed);
  if (isSameTarget(route.target, target)) return changes;
  await holder.point(app, target, io);
  return [...changes, `pointed the front at ${app}@${live}`];
}

const isSameTarget = (one: Target | null, other: Target) =>
  one?.id === other.id && one.port === other.port && one.uid === other.uid;

async function stopStrays(
  app: string,
  live: string | null,
  wanted: readonly string[],
  managed: Manager,
  io: Io,
): Promise<string[]> {
  const changes: string[] = [];
  for (const id of await straysOf(app, live, wanted, managed)) {
    await managed.stop({ app, id }, io);
    changes.push(`stopped ${app}@${id}, ${releaseOf(id) === live ? "one too many" : "which is not live"}`);
    await forget({ app, id }, managed, io);
  }
  const previous = await previousId(app);
  const isIdle = previous && previous !== live && !(await warmIds(app)).includes(previous);
  const isBusy = (await managed.instances(app)).some((id) => releaseOf(id) === previous);
  if (isIdle && !isBusy) await forgetRelease(app, previous, managed, io);
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
