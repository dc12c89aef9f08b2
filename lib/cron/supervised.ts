// The scheduler of an app where there is no systemd: kept by the same small supervisor as the app itself.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import {
  markerOf,
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  writeRecord,
  type State,
} from "../host/supervisor/supervision.ts";
import { endAll } from "../host/process/end-all.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { plainEnv } from "../host/run.ts";
import { program, selfEnv, supervisor } from "../host/self.ts";
import { shellQuote } from "../host/template.ts";
import type { CronEntry } from "../config/types.ts";

const STOP_TIMEOUT = 5_000;

const nameOf = ({ name: app }: NamedApp) => ({ app, id: "cron" });

const filesOf = ({ places: { instances, logs } }: NamedApp) => {
  const stem = join(instances, "scheduler");
  return {
    spec: `${stem}.json`,
    state: `${stem}.state.json`,
    script: `${stem}.sh`,
    entries: join(instances, "cron.json"),
    log: join(logs, "scheduler.log"),
  };
};

/** Whether the scheduler of an app runs. */
export const isScheduled = (app: NamedApp) => supervisorsOf(filesOf(app).spec).length > 0;

/** Makes the app's scheduler run with exactly these entries; with none it is stopped. Answers one sentence for each change. */
export async function setSchedule(app: NamedApp, entries: readonly CronEntry[]): Promise<string[]> {
  const files = filesOf(app);
  if (entries.length === 0) {
    if ((await readText(files.entries)) === null) return [];
    await stopScheduler(app);
    return [`stopped the scheduler of ${app.name}`];
  }
  const text = `${JSON.stringify(entries, null, 2)}\n`;
  const isNew = (await readText(files.entries)) !== text;
  await mkdir(app.places.instances, { recursive: true, mode: 0o711 });
  if (isNew) await writeFileAtomic(files.entries, text, 0o600);
  const wasRunning = isScheduled(app);
  if (!wasRunning) await launch(app);
  return [
    ...(isNew ? entries.map(({ name, schedule }) => `cron ${name} runs at ${schedule}`) : []),
    ...(wasRunning ? [] : [`started the scheduler of ${app.name}`]),
  ];
}

async function launch(app: NamedApp): Promise<void> {
  const files = filesOf(app);
  const { instances, logs } = app.places;
  await mkdir(logs, { recursive: true, mode: 0o750 });
  const argv = [...program("lib/cron/scheduler.ts"), app.name, instances];
  await writeFileAtomic(files.script, `exec ${argv.map(shellQuote).join(" ")}\n`, 0o600);
  await removeFile(files.state);
  const env = { ...selfEnv(), DP_INSTANCE: markerOf(nameOf(app)) };
  await writeRecord(files.spec, {
    ...nameOf(app),
    folder: "/",
    script: files.script,
    env,
    user: null,
    uid: ownUser(),
    stopTimeout: STOP_TIMEOUT,
    restartDelay: 1_000,
    log: files.log,
    state: files.state,
  });
  const supervised = [...supervisor(), files.spec];
  Bun.spawn(supervised, { cwd: "/", env: plainEnv(), stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
}

/** Ends the app's scheduler, and forgets its entries. Safe to repeat. */
export async function stopScheduler(app: NamedApp): Promise<void> {
  const files = filesOf(app);
  await removeFile(files.entries);
  await endAll(() => supervisorsOf(files.spec), STOP_TIMEOUT * 2);
  const main = (await readRecord<State>(files.state))?.main ?? null;
  await endAll(() => processesOf(nameOf(app), ownUser(), main), STOP_TIMEOUT);
  for (const file of [files.spec, files.state, files.script]) await removeFile(file);
}
