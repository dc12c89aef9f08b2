// An app's scheduler without systemd: kept running by the same small supervisor as the app itself.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { endKept, isKept, recordsOf, startKept, type Kept } from "../host/daemon/kept.ts";
import { markerOf } from "../host/supervisor/supervision.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { program, selfEnv } from "../host/self.ts";
import type { CronEntry } from "../config/types.ts";

const STOP_TIMEOUT = 5_000;

const nameOf = ({ name: app }: NamedApp) => ({ app, id: "cron" });

const keptOf = (app: NamedApp): Kept => ({
  stem: join(app.places.instances, "scheduler"),
  instance: nameOf(app),
  marker: markerOf(nameOf(app)),
  stopTimeout: STOP_TIMEOUT,
});

const entriesFile = ({ places }: NamedApp) => join(places.instances, "cron.json");

/** Whether the scheduler of an app runs. */
export const isScheduled = (app: NamedApp) => isKept(keptOf(app));

/**
 * Makes the app's scheduler run exactly these entries; without any it is stopped. Answers one sentence for each change.
 */
export async function setSchedule(app: NamedApp, entries: readonly CronEntry[]): Promise<string[]> {
  const file = entriesFile(app);
  if (entries.length === 0) {
    if ((await readText(file)) === null) return [];
    await stopScheduler(app);
    return [`stopped the scheduler of ${app.name}`];
  }
  const text = `${JSON.stringify(entries, null, 2)}\n`;
  const isNew = (await readText(file)) !== text;
  await mkdir(app.places.instances, { recursive: true, mode: 0o711 });
  if (isNew) await writeFileAtomic(file, text, 0o600);
  const wasRunning = isScheduled(app);
  if (!wasRunning) await launch(app);
  return [
    ...(isNew ? entries.map(({ name, schedule }) => `cron ${name} runs at ${schedule}`) : []),
    ...(wasRunning ? [] : [`started the scheduler of ${app.name}`]),
  ];
}

async function launch(app: NamedApp): Promise<void> {
  const { instances, logs } = app.places;
  await mkdir(logs, { recursive: true, mode: 0o750 });
  const argv = [...program("lib/cron/scheduler.ts"), app.name, instances];
  const log = join(logs, "scheduler.log");
  await startKept(keptOf(app), { argv, env: selfEnv(), user: null, restartDelay: 1_000, log });
}

/** Stops the app's scheduler, and removes its entries. Safe to repeat. */
export async function stopScheduler(app: NamedApp): Promise<void> {
  await removeFile(entriesFile(app));
  await endKept(keptOf(app));
  for (const file of Object.values(recordsOf(keptOf(app)))) await removeFile(file);
}
