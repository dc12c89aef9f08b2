// `dp cron`: the entries of the live release, their next runs and last results; or a run of one of them by hand.
import { scheduleOf } from "../config/schedule.ts";
import { nextRun } from "../cron/cron.ts";
import { isDue } from "../cron/summer-time.ts";
import { jobsUnderWay, lastRun, runJob, type JobRun } from "../release/job.ts";
import { DpError } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import type { Manager } from "../contracts/manager.ts";
import { hasTargets } from "../notify/targets.ts";
import { secretsOf } from "../release/settings.ts";
import { openApp } from "../release/app.ts";
import { redactor } from "../deploy/log/redactor.ts";
import { spanText, table, when } from "../text/table.ts";
import { liveFacts } from "./processes.ts";
import type { InstanceName } from "../host/instance.ts";
import { within } from "../host/within.ts";

export interface CronRow {
  name: string;
  schedule: string;
  /** Null: the server's time zone. */
  timeZone: string | null;
  command: string;
  /** ISO 8601; null: it is not scheduled. */
  next: string | null;
  isRunning: boolean;
  last: JobRun | null;
}

/** The entries of the live release. */
export async function cronEntries(name: string): Promise<CronRow[]> {
  const app = await openApp(name);
  const { config } = await liveFacts(app);
  return Promise.all(
    config.cron.map(async (entry) => {
      const { name, schedule, timeZone = null, command } = entry;
      const isRunning = (await jobsUnderWay(app, name)).length > 0;
      return {
        name,
        schedule,
        timeZone,
        command,
        next: await nextRun(app, entry),
        isRunning,
        last: await lastRun(app, name),
      };
    }),
  );
}

/** The entries for people. */
export function cronLines(rows: readonly CronRow[]): string[] {
  if (rows.length === 0) return ["no scheduled jobs: deploy.yml has no cron"];
  return table(
    ["NAME", "SCHEDULE", "NEXT", "LAST", "RESULT", "COMMAND"],
    rows.map(({ name, schedule, timeZone, next, last, isRunning, command }) => [
      name,
      timeZone === null ? schedule : `${schedule} ${timeZone}`,
      next === null ? "never" : when(next),
      last === null ? "never" : when(last.startedAt),
      isRunning ? "runs" : last === null ? "" : resultText(last),
      command,
    ]),
  );
}

/** `exited with code 3 after 12s`. */
export function resultText({ startedAt, endedAt, code, detail }: JobRun): string {
  if (endedAt === null) return "unknown: it was interrupted";
  const how = code === 0 ? "ok" : detail || "failed";
  return `${how} after ${spanText(Date.parse(endedAt) - Date.parse(startedAt))}`;
}

/** Whether an entry of the live release is due; true for an unknown one, so that running it reports the error. */
export async function isDueNow(name: string, job: string): Promise<boolean> {
  const app = await openApp(name);
  const entry = (await liveFacts(app)).config.cron.find((each) => each.name === job);
  if (entry === undefined) return true;
  const last = await lastRun(app, job);
  return isDue(scheduleOf(entry.schedule), entry.timeZone, last && Date.parse(last.startedAt), Date.now());
}

/** Runs an entry now and prints its output, secrets masked; a scheduled run writes only to its log. */
export async function cronRun(
  name: string,
  job: string,
  isScheduled: boolean,
  print: (line: string) => void,
): Promise<JobRun> {
  const app = await openApp(name);
  const clean = redactor(await secretsOf(app));
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new DpError("interrupted", "interrupted")));
  process.once("SIGTERM", () => stop.abort(new DpError("terminated", "terminated")));
  const io = makeIo(silentLog, stop.signal);
  const watch = (instance: InstanceName) => watchOutput(instance, app.manager, (line) => print(clean(line)));
  // Whoever runs it by hand sees how it ends.
  if (!isScheduled || !hasTargets())
    return runJob(app, job, io, { isScheduled, watch: isScheduled ? undefined : watch });
  const last = await lastRun(app, job);
  const run = await runJob(app, job, io, { isScheduled });
  await (await import("./cron-notice.ts")).tellJob(app, run, last, print);
  return run;
}

/** More lines than a log holds, so that new lines can be told from all of them. */
const ALL = 1_000_000;
const FIRST_LOOK = 200;
const LAST_LOOK = 5_000;

// Reads the log repeatedly, because a follower may start too late for the output of a quick job.
async function watchOutput(instance: InstanceName, manager: Manager, print: (line: string) => void) {
  const read = async () => {
    const lines: string[] = [];
    const onLine = (line: string) => void lines.push(line);
    await manager.logs(instance, { lines: ALL, follow: false, onLine }, makeIo(silentLog));
    return lines;
  };
  let seen = (await read()).length;
  const over = Promise.withResolvers<true>();
  const looking = (async () => {
    for (let pause = FIRST_LOOK, isOver = false; !isOver; pause = Math.min(pause * 1.5, LAST_LOOK)) {
      isOver = (await within(pause, over.promise)) ?? false;
      const lines = await read();
      lines.slice(seen).forEach(print);
      seen = lines.length;
    }
  })();
  return {
    async end() {
      over.resolve(true);
      await looking;
    },
  };
}
