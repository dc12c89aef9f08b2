// The history of deploys: read from the run files and nothing else.
import { existsSync, lstatSync, type Stats } from "node:fs";
import { basename, join } from "node:path";
import type { DeployConfig } from "../config/types.ts";
import type { NamedApp } from "../contracts/app.ts";
import { fact } from "../pipeline/facts.ts";
import { factOf, load, loadWithStat, type Run } from "../pipeline/run-file.ts";
import { DpError, messageOf } from "../errors.ts";
import { namesIn } from "../host/files.ts";
import { holderOf, isLocked } from "../host/lock.ts";
import { isReleaseId, sequenceOf } from "../text/ids.ts";

/** "unfinished": its process is gone, or it is run by hand; `dp resume` ends it. */
export type RunState = "good" | "failed" | "superseded" | "running" | "waiting" | "unfinished";

export interface PastRun {
  id: string;
  path: string;
  run: Run;
  state: RunState;
}

/** Written by the process that holds an app's lock, or is queued for it. */
export interface Holder {
  /** The ID of a run, or the command that holds the lock: `dp scale shop`. */
  id: string;
  by: string;
  pid: number;
  /** Start of that process, in ticks since boot. pid and start time together identify a process; pids are reused. */
  startTime: number;
  since: string;
  /** For a push, the git process that waits for its hook, see gate.ts. */
  git?: string | undefined;
}

/** Whether a run was interrupted after its first step: `dp resume` or the next deploy ends it. */
export const isInterrupted = ({ state, run }: PastRun): boolean =>
  state === "unfinished" && Object.keys(run.journal).length > 0;

/** The deploy that holds the app's lock, or null. */
export function holder({ places }: NamedApp): Holder | null {
  return holderOf(places.lock) as Holder | null;
}

/** The queue file whose lock a queued deploy holds. */
export function queueFile({ places }: NamedApp, id: string): string {
  return join(places.base, "queue", id);
}

/** The run file of a run. */
export function runFile({ places }: NamedApp, id: string): string {
  return `${places.runs}/${id}.json`;
}

/** The suffix of an unreadable run file that was put aside. */
export const DAMAGED = ".damaged";

/** The IDs of all runs, oldest first. */
export async function runIds({ places }: NamedApp): Promise<string[]> {
  const ids = (await namesIn(places.runs))
    .filter((name) => name.endsWith(".json"))
    .map((name) => basename(name, ".json"));
  return ids.filter(isReleaseId).sort((a, b) => sequenceOf(a) - sequenceOf(b));
}

/** The runs of an app at one moment, for those who ask several things about it. */
export interface Moment {
  /** The IDs of all runs, oldest first. */
  ids: readonly string[];
  held: Holder | null;
}

/** The runs of an app as they are now. The holder last: each of these runs is over, or waits, or is the one that holds. */
export const momentOf = async (app: NamedApp): Promise<Moment> => ({ ids: await runIds(app), held: holder(app) });

/** How many run files are read at a time: an app may have had thousands of deploys. */
const AT_ONCE = 32;

/** Every run of an app, oldest first, read-only; `damaged` gets a message for each run file that cannot be read. */
export async function runsOf(app: NamedApp, damaged: (message: string) => void = () => undefined): Promise<PastRun[]> {
  return readRuns(app, await runIds(app), damaged);
}

/** The same for some of its runs. */
export async function readRuns(
  app: NamedApp,
  ids: readonly string[],
  damaged: (message: string) => void = () => undefined,
  held = holder(app),
): Promise<PastRun[]> {
  const runs: PastRun[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE).map((id) => readRun(app, id, held, damaged));
    runs.push(...(await Promise.all(some)).filter((run) => run !== null));
  }
  return runs;
}

async function readRun(app: NamedApp, id: string, held: Holder | null, damaged: (message: string) => void) {
  const path = runFile(app, id);
  try {
    const run = await readOnce(path);
    return { id, path, run, state: stateOf(app, id, run, held) };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    damaged(messageOf(error));
    return null;
  }
}

/** Finished runs that this process has read, and the state of the file at that time. */
const known = new Map<string, { run: Run; stat: Stats }>();

/** Whether a file is as it was: any write, replacement or change of mode changes one of these. */
const isSame = (one: Stats, other: Stats | undefined) =>
  one.dev === other?.dev && one.ino === other.ino && one.ctimeMs === other.ctimeMs && one.size === other.size;

/**
 * A run file, for those who only read it: one that has ended and has not changed since this process read it is not read
 * again. Throws DpError "run".
 */
export async function readOnce(path: string): Promise<Run> {
  const before = known.get(path);
  if (before && isSame(before.stat, lstatSync(path, { throwIfNoEntry: false }))) return before.run;
  const { run, stat } = loadWithStat(path);
  if (run.result) known.set(path, { run, stat });
  return run;
}

/** The deploy of that commit, with hooks or without, that holds the app's lock; null when none does. */
export async function runningDeployOf(app: NamedApp, sha: string, skipHooks: boolean): Promise<Holder | null> {
  const held = holder(app);
  if (!held || !isReleaseId(held.id)) return null;
  const { run } = await runOf(app, held.id);
  if (factOf(run, "kind", fact.kind) !== "deploy" || factOf(run, "sha", fact.sha) !== sha) return null;
  return factOf(run, "skipHooks", fact.skipHooks) === skipHooks ? held : null;
}

/** The newest run with a readable run file, or null. */
export async function newestRun(app: NamedApp, moment?: Moment): Promise<PastRun | null> {
  const { ids, held } = moment ?? (await momentOf(app));
  for (const id of ids.toReversed()) {
    const run = await readRun(app, id, held, () => undefined);
    if (run) return run;
  }
  return null;
}

/** The run with that ID. Throws DpError "run" when its run file cannot be read. */
export async function runOf(app: NamedApp, id: string): Promise<PastRun> {
  const path = runFile(app, id);
  const run = await load(path);
  return { id, path, run, state: stateOf(app, id, run, holder(app)) };
}

function stateOf(app: NamedApp, id: string, run: Run, held: Holder | null): RunState {
  if (held?.id === id) return "running";
  if (run.result) return run.result.state;
  return isLocked(queueFile(app, id)) ? "waiting" : "unfinished";
}

/** deploy.yml of a release's commit. Throws DpError "run" when its run file cannot be read. */
export async function configOf(app: NamedApp, release: string): Promise<DeployConfig> {
  return factOf(await readOnce(runFile(app, release)), "config", fact.config);
}

/** Whether a run made a release that can be gone back to, if its files are still on disk. */
const madeGood = ({ run, state }: PastRun) => state === "good" && run.facts["kind"] !== "rollback";

/** Whether that is a good release whose files are still on disk. */
export async function isGoodRelease(app: NamedApp, id: string, held = holder(app)): Promise<boolean> {
  if (!existsSync(join(app.places.releases, id))) return false;
  const past = await readRun(app, id, held, () => undefined);
  return past !== null && madeGood(past);
}

/** The good releases whose files are still on disk, oldest first: the only possible rollback targets. */
export async function goodReleases(app: NamedApp, moment?: Moment): Promise<PastRun[]> {
  const { releases } = app.places;
  const { ids, held } = moment ?? (await momentOf(app));
  const names = new Set(await namesIn(releases));
  // Few of the runs have files, and only those are read. A restart's release is a link, which may lead nowhere.
  const kept = ids.filter((id) => names.has(id) && existsSync(join(releases, id)));
  return (await readRuns(app, kept, undefined, held)).filter(madeGood);
}

/** The newest good release before that one, or null. */
export async function releaseBefore(app: NamedApp, id: string | null): Promise<string | null> {
  if (id === null) return null;
  const before = (await goodReleases(app)).filter((past) => sequenceOf(past.id) < sequenceOf(id));
  return before.at(-1)?.id ?? null;
}

/** The log of a run. */
export function logOf({ places }: NamedApp, id: string): string {
  return join(places.logs, `${id}.log`);
}
