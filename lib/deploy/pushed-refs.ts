// The refs that a push moves, and whether git can move them: checked before anything starts, because git moves them
// after the deploy.
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { readText, removeFile } from "../host/files.ts";
import { isAlive } from "../host/process/process.ts";
import { run } from "../host/run.ts";
import { receiverPid } from "./push-options.ts";

/** A ref that a push moves; zeros as the old or new commit: it is created or deleted. */
export interface RefChange {
  ref: string;
  old: string;
  sha: string;
}

const NOTHING = /^0+$/;
const folderOf = (repo: string) => join(repo, "dp-pushes");
/** Written by the hook pre-receive, in git's own format. */
const refsFile = (repo: string) => join(folderOf(repo), String(receiverPid()));
/** Tells the hook update to check whether git moves the branch: templates/update.sh. */
const deployedFile = (repo: string) => `${refsFile(repo)}.deployed`;

/** Every ref that this push moves; none when there was no hook to note them. */
export async function pushedRefs(repo: string): Promise<RefChange[]> {
  const text = (await readText(refsFile(repo))) ?? "";
  return text.split("\n").flatMap((line) => {
    const [old, sha, ref] = line.split(" ");
    return old && sha && ref ? [{ ref, old, sha }] : [];
  });
}

/** Notes that the pushed commit is live: git is about to move the branch. */
export async function noteDeployed(repo: string): Promise<void> {
  await mkdir(folderOf(repo), { recursive: true, mode: 0o700 });
  await writeFile(deployedFile(repo), "");
}

/** Removes the notes of pushes that are over. */
async function sweepNotes(repo: string): Promise<void> {
  for (const name of await readdir(folderOf(repo)).catch(() => []))
    if (!isAlive(Number.parseInt(name))) await removeFile(join(folderOf(repo), name));
}

/**
 * Throws DpError "usage" when git would refuse to move a ref of this push: a tag object on a branch, a name below
 * another branch's, a full disk. Every ref counts, because an atomic push moves all or none. Changes nothing: the
 * transaction is prepared and then aborted.
 */
export async function requireMovable(repo: string, change: RefChange): Promise<void> {
  await mkdir(folderOf(repo), { recursive: true, mode: 0o700 });
  await sweepNotes(repo);
  const changes = await pushedRefs(repo);
  const words = await refusalOf(repo, changes.some(({ ref }) => ref === change.ref) ? changes : [change]);
  if (words === null) return;
  const branch = change.ref.replace("refs/heads/", "");
  const { text: kind } = await run(["git", "--git-dir", repo, "cat-file", "-t", change.sha], { check: false });
  throw new DpError("usage", `git cannot take this push, so nothing was deployed: ${words}`, {
    ...(kind === "tag" ? { hint: `push the tag's commit: git push production 'TAG^{commit}:${branch}'` } : {}),
  });
}

/** Git's objection to the changes, or null. */
async function refusalOf(repo: string, changes: readonly RefChange[]): Promise<string | null> {
  const lines = changes.map(({ ref, sha }) => (NOTHING.test(sha) ? `delete ${ref}` : `update ${ref} ${sha}`));
  const file = `${refsFile(repo)}.try`;
  // Read at once and removed: it need not survive anything.
  await writeFile(file, ["start", ...lines, "prepare", "abort", ""].join("\n"));
  const stdin = openSync(file, "r");
  try {
    const { code, text } = await run(["git", "--git-dir", repo, "update-ref", "--stdin"], { check: false, stdin });
    return code === 0
      ? null
      : (text
          .split("\n")
          .findLast((line) => line.startsWith("fatal: "))
          ?.slice(7) ?? text);
  } finally {
    closeSync(stdin);
    await removeFile(file);
  }
}
