// With `gate: false`: what git was let have, and no deploy has begun with. A file, so that no reboot loses it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { places } from "../paths.ts";
import { newestRun } from "../release/history.ts";
import { tipOf } from "../git/ref.ts";
import type { ServerConfig } from "../config/types.ts";

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
export async function owed(
  app: string,
  { gate, branch }: Pick<ServerConfig, "gate" | "branch">,
): Promise<{ sha: string } | { id: string } | null> {
  if (gate) return null;
  const { repo, logs } = places(app);
  const sha = (await readText(fileOf(repo)))?.trim();
  if (sha && sha === (await tipOf(repo, `refs/heads/${branch}`))) return { sha };
  const newest = await newestRun(app);
  if (newest?.state !== "unfinished" || Object.keys(newest.run.journal).length > 0) return null;
  // One that was begun by hand has no log.
  return existsSync(join(logs, `${newest.id}.log`)) ? { id: newest.id } : null;
}

/** The same as a word for people: `3f9c2ab`, or the run. */
export async function owedName(app: string, server: ServerConfig): Promise<string | null> {
  const due = await owed(app, server);
  return due === null ? null : "id" in due ? due.id : due.sha.slice(0, 7);
}
