// One run of a cron entry: in the live release, never two of the same entry at once, with a record of how it ended.
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { isLocked, tryLock } from "../host/lock.ts";
import { exitCodeOf, howEnded } from "../host/process/ending.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Instance } from "../contracts/manager.ts";
import { isJob, jobId, processOf } from "../text/ids.ts";
import { nothingLive } from "./first-deploy.ts";
import { factsOfRelease, otherInstance } from "./instance.ts";
import { didYouMean } from "../text/suggestion.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";

/** The last run of an entry. Times are ISO 8601. */
export interface JobRun {
  name: string;
  release: string;
  startedAt: string;
  /** Null while it runs, or when its watcher was killed. */
  endedAt: string | null;
  /** The exit code, or 128 + the signal's number; null when unknown. */
  code: number | null;
  /** "exited with code 3", "killed by SIGKILL"; empty when all is well. */
  detail: string;
  /** It failed where somebody saw it, and no scheduled run has failed since the last good one. */
  byHand?: boolean;
}

/** How a run began; `watch` is called before it starts. */
export interface Beginning {
  isScheduled: boolean;
  watch?: ((instance: InstanceName) => Promise<{ end(): Promise<void> } | undefined>) | undefined;
}

const recordOf = ({ places }: NamedApp, name: string) => join(places.instances, `cron.${name}.json`);

const lockOf = ({ places }: NamedApp, name: string) => join(places.instances, `cron.${name}.lock`);

/**
 * Whether somebody is running a job of this instance's entry, from before its start until it is forgotten. At either
 * end its manager may not know the job yet, or may call it ended.
 */
export const isInProgress = (app: NamedApp, id: string) => isLocked(lockOf(app, processOf(id).slice("cron.".length)));

/** The last run of an entry, or null when it never ran. */
export async function lastRun(app: NamedApp, name: string): Promise<JobRun | null> {
  const text = await readText(recordOf(app, name));
  return text === null ? null : (JSON.parse(text) as JobRun);
}

/** Whether the last run was a failure that a scheduled run came to: one to be told once. */
export const hasFailedUnseen = (last: JobRun | null): boolean =>
  last !== null && last.endedAt !== null && last.code !== 0 && last.byHand !== true;

const keep = (app: NamedApp, run: JobRun) =>
  writeFileAtomic(recordOf(app, run.name), `${JSON.stringify(run, null, 2)}\n`, 0o600);

/** The running instances of an entry, in any release. */
export async function jobsUnderWay({ name: app, manager }: App, name: string): Promise<string[]> {
  const own = (await manager.instances(app)).filter((id) => isJob(id) && processOf(id) === `cron.${name}`);
  const states = await Promise.all(own.map((id) => manager.status({ app, id })));
  return own.filter((_, index) => states[index]!.state === "running");
}

/**
 * Runs an entry of the live release to its end. Throws DpError "usage" when there is no entry of that name, "locked" when
 * it is running already.
 */
export async function runJob(app: App, name: string, io: Io, { isScheduled, watch }: Beginning): Promise<JobRun> {
  const release = await app.live();
  if (release === null) throw await nothingLive(app);
  const facts = await factsOfRelease(app, release);
  const names = facts.config.cron.map((entry) => entry.name);
  if (!names.includes(name)) {
    const there = names.length > 0 ? `there is ${names.join(", ")}` : "deploy.yml has no cron";
    throw new DpError(
      "usage",
      `no scheduled job ${JSON.stringify(name)} in ${release}: ${there}`,
      didYouMean(name, names),
    );
  }
  const { manager } = app;
  const lock = tryLock(lockOf(app, name));
  try {
    const [other] = lock === null ? ["another dp"] : await jobsUnderWay(app, name);
    if (other !== undefined) throw new DpError("locked", `cron ${name} of ${app.name} is already running, ${other}`);
    const instance = await otherInstance(facts, jobId(release, name));
    const begun = { name, release, startedAt: new Date().toISOString() };
    const byHand = !isScheduled && !hasFailedUnseen(await lastRun(app, name));
    await keep(app, { ...begun, endedAt: null, code: null, detail: "" });
    const watching = await watch?.(instance);
    const ended = await runToEnd(app, instance, io);
    const end = { endedAt: new Date().toISOString(), code: codeOf(ended), detail: ended.detail };
    const run: JobRun = { ...begun, ...end, ...(byHand && end.code !== 0 ? { byHand } : {}) };
    await keep(app, run);
    await watching?.end();
    await manager.stop(instance, io);
    await manager.forget(instance, io);
    return run;
  } finally {
    lock?.release();
  }
}

type End = Pick<InstanceStatus, "state" | "detail" | "ended">;

const TERMINATED = { signal: "SIGTERM" };

async function runToEnd({ manager }: App, instance: Instance, io: Io): Promise<End> {
  try {
    await manager.start(instance, io);
    for (let delay = 20; ; delay = Math.min(delay * 1.3, 1_000)) {
      const status = await manager.status(instance);
      if (status.state !== "running") return status;
      await io.sleep(delay);
    }
  } catch (error) {
    if (!io.signal.aborted) {
      if (!(error instanceof DpError)) throw error;
      return { state: "failed", detail: error.message };
    }
    await manager.stop(instance, { ...io, signal: new AbortController().signal });
    return { state: "failed", detail: howEnded(TERMINATED), ended: TERMINATED };
  }
}

function codeOf({ state, ended }: End): number | null {
  if (state === "stopped") return 0;
  return ended === undefined ? null : exitCodeOf(ended);
}
