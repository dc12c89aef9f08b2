// What a deploy puts in order before its first step: temp files, supervisors, strays, and where the front points.
import type { App, NamedApp } from "../contracts/app.ts";
import { removeStaleTemps } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { releaseOf } from "../text/ids.ts";
import { forget, forgetRelease } from "./forget.ts";
import { portOf } from "./ports.ts";
import { isSameTarget, targetOf } from "./route.ts";
import { straysOf, wantedOf } from "./wanted.ts";
import { warmIds } from "./warm.ts";

/** Removes the temp files and links that a killed dp left in the app's folders. */
export async function sweep({ places: { base, runs, instances, releases } }: NamedApp): Promise<void> {
  for (const folder of [base, runs, instances, releases]) await removeStaleTemps(folder);
}

/**
 * The part of reconcile that is quick and cannot fail because of the live release: a deploy may be what repairs that
 * release. Whatever `start` does anyway is left to it.
 */
export async function tidy(app: App, io: Io): Promise<string[]> {
  const { name, manager, front } = app;
  const live = await app.live();
  const wanted = await wantedOf(app, live);
  const changes = await adoptAll(app, wanted, io);
  changes.push(...(await stopStrays(app, live, wanted, io)));
  const port = live === null ? null : await portOf(app, live);
  const route = await front.status(name);
  const isRunning = live !== null && (await manager.status({ app: name, id: live })).state === "running";
  if (!isRunning || port === null || route === null) return changes;
  const target = await targetOf(app, live, port);
  if (isSameTarget(route.target, target)) return changes;
  await front.point(name, target, io);
  return [...changes, `pointed the front at ${name}@${live}`];
}

/**
 * Gives running instances their supervisor again; answers sentences. This comes first: without a reader for its output,
 * an instance blocks as soon as its pipe is full, and then answers nothing.
 */
export async function adoptAll({ name, manager }: App, wanted: readonly string[], io: Io): Promise<string[]> {
  const changes: string[] = [];
  for (const id of wanted)
    if (await manager.adopt?.({ app: name, id }, io))
      changes.push(`gave ${name}@${id} a supervisor again: its own was gone`);
  return changes;
}

/** Stops what should not run, and forgets it and the release before the live one; answers sentences. */
export async function stopStrays(app: App, live: string | null, wanted: readonly string[], io: Io): Promise<string[]> {
  const { name, manager } = app;
  const changes: string[] = [];
  const instances = await manager.instances(name);
  const warm = await warmIds(app);
  const strays = await straysOf(app, { live, wanted, instances, warm });
  for (const id of strays) {
    await manager.stop({ app: name, id }, io);
    changes.push(`stopped ${name}@${id}, ${releaseOf(id) === live ? "one too many" : "which is not live"}`);
    await forget(app, id, io);
  }
  const previous = await app.previous();
  const isIdle = previous && previous !== live && !warm.includes(previous);
  const isBusy = instances.some((id) => releaseOf(id) === previous && !strays.includes(id));
  if (isIdle && !isBusy) await forgetRelease(app, previous, io);
  return changes;
}
