// The environment of each run: the env file as it was then, kept beside the run file, readable only by dp.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { parseEnv } from "../config/env.ts";
import { envText, readEnvFile } from "../config/env-file.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { idOf, isReleaseId, sequenceOf } from "../text/ids.ts";
import { glancesOf } from "./glance.ts";
import type { PastRun } from "./history.ts";

const SUFFIX = ".env";

/** The file with the settings of a run. */
export const settingsFile = ({ places }: NamedApp, run: string) => join(places.runs, `${run}${SUFFIX}`);

/** The settings of a run as text, or null when none were kept. */
export const settingsText = (app: NamedApp, run: string): Promise<string | null> => readText(settingsFile(app, run));

/**
 * Keeps settings for a run; without `text`, the current env file. Throws DpError "config" for text that is not a valid
 * env file.
 */
export async function keepSettings(app: App, run: string, text?: string): Promise<void> {
  const { env } = app.server;
  const kept = text ?? (await envText(app.places.base, env));
  parseEnv(kept, `.env.${env}`);
  await writeFileAtomic(settingsFile(app, run), kept, 0o600);
}

/** The settings of a run; those of the env file when none were kept. Throws DpError "config". */
export async function settingsOf(app: App, run: string): Promise<Record<string, string>> {
  const text = await settingsText(app, run);
  return text === null ? readEnvFile(app.places.base, app.server.env) : parseEnv(text, settingsFile(app, run));
}

/**
 * The last run other than `now` that put a release live: its settings are the release's. Null: no such run is known.
 */
export async function liveRunOf(app: NamedApp, release: string, now?: string): Promise<string | null> {
  const own = (await glancesOf(app)).filter((run) => run.id !== now && run.release === release);
  const isLive = (await app.live()) === release;
  const wentLive = own.filter(({ state, swap, isOver }) => {
    // A power cut came after the commit point, before the journal was saved.
    return state === "good" || swap === "ok" || (swap === "running" && isLive && !isOver);
  });
  return (wentLive.at(-1) ?? own.at(-1))?.id ?? null;
}

/** The settings that a release had before the run `now`, as text, or null when unknown. */
export async function settingsOfRelease(app: NamedApp, release: string, now?: string): Promise<string | null> {
  const run = await liveRunOf(app, release, now);
  return run === null ? null : settingsText(app, run);
}

/**
 * Gives a rollback or restart the current env file, unless it brought settings along. Answers whether the release had
 * the same settings before.
 */
export async function takeSettings(
  { app, run, envBefore }: { app: App; run: string; envBefore: string | null },
  release: string,
): Promise<boolean> {
  const before = await settingsOfRelease(app, release, run);
  if (envBefore === null) await keepSettings(app, run);
  return before !== null && before === (await settingsText(app, run));
}

async function runsWithSettings({ places }: NamedApp): Promise<string[]> {
  const names = await readdir(places.runs);
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .filter(isReleaseId);
}

/**
 * Removes the settings of runs whose release is not in `stay`; those of the newest failed run are kept for inspection.
 * The settings of a new run exist before its run file does.
 */
export async function pruneSettings(app: NamedApp, stay: ReadonlySet<string>, runs: readonly PastRun[]): Promise<void> {
  const failed = runs.findLast(({ state }) => state === "failed")?.id;
  const releases = new Map(runs.map(({ id, run }) => [id, idOf(String(run.facts["release"] ?? "")) ?? id]));
  const newest = runs.findLast(({ state }) => state !== "waiting" && state !== "unfinished")?.id;
  const isBegun = (run: string) => newest !== undefined && sequenceOf(run) <= sequenceOf(newest);
  for (const run of (await runsWithSettings(app)).filter(isBegun)) {
    if (run !== failed && !stay.has(releases.get(run) ?? run)) await removeFile(settingsFile(app, run));
  }
}

/** Every value that dp still knows, under unique names, for masking. Unreadable files are skipped. */
export async function secretsOf(app: App): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {};
  const add = (from: string, values: Record<string, string>) => {
    for (const [name, value] of Object.entries(values)) secrets[`${name} ${from}`] = value;
  };
  try {
    add("now", await readEnvFile(app.places.base, app.server.env));
  } catch {
    // The step "read", or `dp env`, reports what is wrong with it.
  }
  for (const run of await runsWithSettings(app)) {
    try {
      add(run, parseEnv((await settingsText(app, run)) ?? "", settingsFile(app, run)));
    } catch {
      // A rollback to that run reports it; no other run fails because of it.
    }
  }
  return secrets;
}
