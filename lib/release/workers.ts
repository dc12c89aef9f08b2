// The processes of a release besides web: how they start, prove themselves, stop, and change over to the next release.
import { basename } from "node:path";
import { waitUntilUp, type Candidate } from "../health/process-check.ts";
import type { Io } from "../host/io.ts";
import type { Manager } from "../contracts/manager.ts";
import { isJob, isWeb, processOf, releaseOf } from "../paths.ts";
import { forget } from "./instances.ts";
import { otherInstance, type InstanceFacts } from "./instance.ts";
import { otherIds } from "./processes.ts";

/** Waits for all of them, also when one has failed: nothing may go on behind the back of whoever takes it back. Throws the first error. */
export async function together<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}

/** The instances of an app besides web that run, wait, or failed; jobs of cron are none of them. */
export async function otherInstances(app: string, managed: Manager): Promise<string[]> {
  return (await managed.instances(app)).filter((id) => !isWeb(id) && !isJob(id));
}

/** Stops instances, all at once: each may have a job in hand. What was kept of them is forgotten. */
export async function stopInstances(app: string, ids: readonly string[], managed: Manager, io: Io): Promise<void> {
  await together(
    ids.map(async (id) => {
      await managed.stop({ app, id }, io);
      await forget({ app, id }, managed, io);
    }),
  );
}

/** Starts those of the instances that do not run, one after the other; answers which. */
export async function startInstances(
  facts: InstanceFacts,
  ids: readonly string[],
  managed: Manager,
  io: Io,
): Promise<string[]> {
  const started: string[] = [];
  for (const id of ids) {
    if ((await managed.status({ app: facts.app, id })).state === "running") continue;
    await managed.start(await otherInstance(facts, id), io);
    started.push(id);
  }
  return started;
}

/** Waits until every instance has proven itself. Throws DpError "unhealthy". */
export async function proveInstances(
  facts: InstanceFacts,
  ids: readonly string[],
  managed: Manager,
  io: Io,
): Promise<void> {
  await together(
    ids.map(async (id) => {
      const { healthCheck: check } = facts.config.processes[processOf(id).split(".")[0]!]!;
      await waitUntilUp({ instance: await otherInstance(facts, id), check } satisfies Candidate, managed, io);
    }),
  );
}

/**
 * Brings the processes of a release up in the place of those of every other one: each starts when the one of its own
 * name and number has stopped, or with `overlap` before that, and all must prove themselves. Safe to repeat. Throws
 * DpError "unhealthy".
 */
export async function changeOver(facts: InstanceFacts, managed: Manager, io: Io): Promise<string[]> {
  const { app, config, server, release } = facts;
  const id = basename(release);
  const wanted = otherIds(id, config, server);
  const running = await otherInstances(app, managed);
  const mayOverlap = (old: string) => config.processes[processOf(old).split(".")[0]!]?.overlap === true;
  const extra = running.filter((old) => releaseOf(old) === id && !wanted.includes(old));
  const olds = running.filter((old) => releaseOf(old) !== id);
  const early = olds.filter((old) => !mayOverlap(old));
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = (task: () => Promise<unknown>) => (turn = turn.then(task));
  const replaced = new Set(wanted.map(processOf));
  await together([
    // A worker that still has a job in hand does not keep the others from their turn.
    ...wanted.map(async (next) => {
      await stopInstances(
        app,
        early.filter((old) => processOf(old) === processOf(next)),
        managed,
        io,
      );
      await inTurn(() => startInstances(facts, [next], managed, io));
    }),
    stopInstances(app, [...extra, ...early.filter((old) => !replaced.has(processOf(old)))], managed, io),
  ]);
  await proveInstances(facts, wanted, managed, io);
  await stopInstances(app, olds.filter(mayOverlap), managed, io);
  return wanted;
}
