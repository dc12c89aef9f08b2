// With `gate: false`: what git was let have, and no deploy has begun with. A file, so that no reboot loses it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { logOf, newestRun } from "../release/history.ts";
import { tipOf } from "../git/ref.ts";

const fileOf = (repo: string) => join(repo, "dp-owed");

/** Before the branch moves to a commit: its deploy is owed. post-receive.sh looks for that file. */
export const noteOwed = (repo: string, sha: string) => writeFileAtomic(fileOf(repo), `${sha}\n`);

/** Its run is begun. */
export async function settleOwed(repo: string, sha: string): Promise<void> {
  if ((await readText(fileOf(repo)))?.trim() === sha) await removeFile(fileOf(repo));
}

/**
 * The commit that the branch was moved to without a deploy, or the newest run, when its process ended while it still
 * waited for its turn; null: nothing is owed.
 */
export async function owed(app: App): Promise<{ sha: string } | { id: string } | null> {
  const { gate, branch } = app.server;
  if (gate) return null;
  const { repo } = app.places;
  const sha = (await readText(fileOf(repo)))?.trim();
  if (sha && sha === (await tipOf(repo, `refs/heads/${branch}`))) return { sha };
  const newest = await newestRun(app);
  if (newest?.state !== "unfinished" || Object.keys(newest.run.journal).length > 0) return null;
  // One that was begun by hand has no log.
  return existsSync(logOf(app, newest.id)) ? { id: newest.id } : null;
}

/** The same as a word for people: `3f9c2ab`, or the run. */
export async function owedName(app: App): Promise<string | null> {
  const due = await owed(app);
  return due === null ? null : "id" in due ? due.id : due.sha.slice(0, 7);
}
