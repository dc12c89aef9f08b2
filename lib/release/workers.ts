// The processes of a release other than web: how they start, prove healthy, stop, and change over to the next release.
import { basename } from "node:path";
import { waitUntilUp, type Candidate } from "../health/process-check.ts";
import type { Io } from "../host/io.ts";
import type { App } from "../contracts/app.ts";
import { isJob, isWeb, processOf, releaseOf } from "../text/ids.ts";
import { forget } from "./forget.ts";
import { otherInstance, type InstanceFacts } from "./instance.ts";
import { otherIds } from "./processes.ts";

/**
 * Waits for all tasks, even when one has failed: none may still be running when the caller undoes the step. Throws the
 * first error.
 */
export async function together<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}

/** The instances of an app other than web that run, wait, or failed; cron jobs do not count. */
export async function otherInstances({ name, manager }: App): Promise<string[]> {
  return (await manager.instances(name)).filter((id) => !isWeb(id) && !isJob(id));
}

/** Stops instances, all at once, because each may have a job to finish. Their records are removed. */
export async function stopInstances(app: App, ids: readonly string[], io: Io): Promise<void> {
  await together(
    ids.map(async (id) => {
      await app.manager.stop({ app: app.name, id }, io);
      await forget(app, id, io);
    }),
  );
}

/** Starts those of the instances that do not run, one after the other; answers which. */
export async function startInstances(facts: InstanceFacts, ids: readonly string[], io: Io): Promise<string[]> {
  const { name, manager } = facts.app;
  const started: string[] = [];
  for (const id of ids) {
    if ((await manager.status({ app: name, id })).state === "running") continue;
    await manager.start(await otherInstance(facts, id), io);
    started.push(id);
  }
  return started;
}

/** Waits until every instance has proven healthy. Throws DpError "unhealthy". */
export async function proveInstances(facts: InstanceFacts, ids: readonly string[], io: Io): Promise<void> {
  await together(
    ids.map(async (id) => {
      const { healthCheck: check } = facts.config.processes[processOf(id).split(".")[0]!]!;
      await waitUntilUp({ instance: await otherInstance(facts, id), check } satisfies Candidate, facts.app.manager, io);
    }),
  );
}

/**
 * Replaces the processes of every other release by those of this one: each starts when its predecessor (same name and
 * number) has stopped, or with `overlap` before that, and all must prove healthy. Safe to repeat. Throws DpError
 * "unhealthy".
 */
export async function changeOver(facts: InstanceFacts, io: Io): Promise<string[]> {
  const { app, config, release } = facts;
  const id = basename(release);
  const wanted = otherIds(id, config, app.server);
  const running = await otherInstances(app);
  const mayOverlap = (old: string) => config.processes[processOf(old).split(".")[0]!]?.overlap === true;
  const extra = running.filter((old) => releaseOf(old) === id && !wanted.includes(old));
  const olds = running.filter((old) => releaseOf(old) !== id);
  const early = olds.filter((old) => !mayOverlap(old));
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = (task: () => Promise<unknown>) => (turn = turn.then(task));
  const replaced = new Set(wanted.map(processOf));
  await together([
    // A worker with a long job does not delay the replacement of the others.
    ...wanted.map(async (next) => {
      await stopInstances(
        app,
        early.filter((old) => processOf(old) === processOf(next)),
        io,
      );
      await inTurn(() => startInstances(facts, [next], io));
    }),
    stopInstances(app, [...extra, ...early.filter((old) => !replaced.has(processOf(old)))], io),
  ]);
  await proveInstances(facts, wanted, io);
  await stopInstances(app, olds.filter(mayOverlap), io);
  return wanted;
}
