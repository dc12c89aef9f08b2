// The records of old deploys: run file, settings, log and ref are kept for the newest ones and for every kept release.
import type { NamedApp } from "../contracts/app.ts";
import { gitWithInput } from "../git/git.ts";
import { removeFile } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { idOf } from "../text/ids.ts";
import { logOf, runFile, type PastRun } from "./history.ts";
import { settingsFile } from "./settings.ts";

/** How many refs one command removes. */
const ONE_COMMAND = 500;

/**
 * Removes the records of all runs except the `keep` newest, those in progress, those of the releases in `stay`, and for
 * each of these the newest run that put it live, because its settings are the release's. Answers how many were removed.
 * Safe to repeat.
 */
export async function pruneRecords(
  app: NamedApp,
  keep: number,
  stay: ReadonlySet<string>,
  runs: readonly PastRun[],
  io: Io,
): Promise<number> {
  const needed = new Set(stay);
  const releaseOf = ({ id, run }: PastRun) => idOf(String(run.facts["release"] ?? "")) ?? id;
  const newest = new Map(runs.map((past) => [releaseOf(past), past.id]));
  const good = new Map(runs.filter(({ state }) => state === "good").map((past) => [releaseOf(past), past.id]));
  for (const id of stay) for (const last of [newest.get(id), good.get(id)]) if (last) needed.add(last);
  const isOver = ({ state }: PastRun) => state === "good" || state === "failed" || state === "superseded";
  const old = runs.slice(0, -keep).filter((past) => isOver(past) && !needed.has(past.id));
  for (let at = 0; at < old.length; at += ONE_COMMAND) {
    const ids = old.slice(at, at + ONE_COMMAND).map(({ id }) => id);
    const lines = ids.map((id) => `delete refs/dp/${id}\n`);
    await gitWithInput(app.places.repo, ["update-ref", "--stdin"], lines.join(""), { signal: io.signal });
    for (const id of ids) await removeRecord(app, id);
  }
  return old.length;
}

// The run file last: it is how a half-removed record is found again.
async function removeRecord(app: NamedApp, id: string): Promise<void> {
  await removeFile(logOf(app, id));
  await removeFile(settingsFile(app, id));
  await removeFile(runFile(app, id));
}
