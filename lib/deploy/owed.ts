// Pushes accepted with `gate: false` whose deploy has not begun. They are kept in a file, so that no reboot loses them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { logOf, newestRun } from "../release/history.ts";
import { tipOf } from "../git/ref.ts";

const fileOf = (repo: string) => join(repo, "dp-owed");

/** Called before the branch moves to a commit: notes that its deploy is owed. post-receive.sh looks for that file. */
export const noteOwed = (repo: string, sha: string) => writeFileAtomic(fileOf(repo), `${sha}\n`);

/** Removes the note once the run has begun. */
export async function settleOwed(repo: string, sha: string): Promise<void> {
  if ((await readText(fileOf(repo)))?.trim() === sha) await removeFile(fileOf(repo));
}

/**
 * The pending deploy: a commit that the branch was moved to without a run, or the newest run if its process died while
 * it was queued. Null: nothing is owed.
 */
export async function owed(app: App): Promise<{ sha: string } | { id: string } | null> {
  const { gate, branch } = app.server;
  if (gate) return null;
  const { repo } = app.places;
  const sha = (await readText(fileOf(repo)))?.trim();
  if (sha && sha === (await tipOf(repo, `refs/heads/${branch}`))) return { sha };
  const newest = await newestRun(app);
  if (newest?.state !== "unfinished" || Object.keys(newest.run.journal).length > 0) return null;
  // A run that was begun by hand has no log.
  return existsSync(logOf(app, newest.id)) ? { id: newest.id } : null;
}

/** The same for people: `3f9c2ab`, or the run's ID. */
export async function owedName(app: App): Promise<string | null> {
  const due = await owed(app);
  return due === null ? null : "id" in due ? due.id : due.sha.slice(0, 7);
}
