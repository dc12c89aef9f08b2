// Pushes accepted with `gate: false` whose deploy has not begun. They are kept in a file, so that no reboot loses them.
import { existsSync } from "node:fs";
import type { App, NamedApp } from "../contracts/app.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { logOf, newestRun } from "../release/history.ts";
import { noteFile } from "../git/owner.ts";
import { tipOf } from "../git/ref.ts";

const fileOf = ({ places }: NamedApp) => noteFile(places, "owed");

/** Called before the branch moves to a commit: notes that its deploy is owed. post-receive.sh looks for that file. */
export const noteOwed = (app: NamedApp, sha: string) => writeFileAtomic(fileOf(app), `${sha}\n`);

/** Removes the note once the run has begun. */
export async function settleOwed(app: NamedApp, sha: string): Promise<void> {
  const file = fileOf(app);
  if ((await readText(file))?.trim() === sha) await removeFile(file);
}

/**
 * The pending deploy: a commit that the branch was moved to without a run, or the newest run if its process died while
 * it was queued. Null: nothing is owed.
 */
export async function owed(app: App): Promise<{ sha: string } | { id: string } | null> {
  const { gate, branch } = app.server;
  if (gate) return null;
  const sha = (await readText(fileOf(app)))?.trim();
  if (sha && sha === (await tipOf(app.places.repo, `refs/heads/${branch}`))) return { sha };
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
