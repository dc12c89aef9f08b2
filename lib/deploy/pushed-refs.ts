// The refs that a push moves, and whether git can move them: checked before anything starts, because git moves them
// after the deploy.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { readText, removeFile } from "../host/files.ts";
import { isAlive } from "../host/process/process.ts";
import { git, gitWithInput } from "../git/git.ts";
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

/** The refs in git's lines, `OLD NEW REF`. */
export const refsIn = (text: string): RefChange[] =>
  text.split("\n").flatMap((line) => {
    const [old, sha, ref] = line.split(" ");
    return old && sha && ref ? [{ ref, old, sha }] : [];
  });

/** Every ref that this push moves; none when there was no hook to note them. */
export const pushedRefs = async (repo: string): Promise<RefChange[]> => refsIn((await readText(refsFile(repo))) ?? "");

/** Notes that the pushed commit is live: git is about to move the branch. */
export async function noteDeployed(repo: string): Promise<void> {
  await mkdir(folderOf(repo), { recursive: true, mode: 0o700 });
  await writeFile(deployedFile(repo), "");
}

/** Makes the folder of the notes, and removes those of pushes that are over. */
export async function sweepNotes(repo: string): Promise<void> {
  await mkdir(folderOf(repo), { recursive: true, mode: 0o700 });
  for (const name of await readdir(folderOf(repo)).catch(() => []))
    if (!isAlive(Number.parseInt(name))) await removeFile(join(folderOf(repo), name));
}

/**
 * Throws DpError "usage" when git would refuse to move a ref of this push, `changes`: a tag object on a branch, a name
 * below another branch's, a full disk. Every ref counts, because an atomic push moves all or none. Changes nothing: the
 * transaction is prepared and then aborted.
 */
export async function requireMovable(repo: string, change: RefChange, changes: readonly RefChange[]): Promise<void> {
  const words = await refusalOf(repo, changes.some(({ ref }) => ref === change.ref) ? changes : [change]);
  if (words === null) return;
  const branch = change.ref.replace("refs/heads/", "");
  const { text: kind } = await git(repo, ["cat-file", "-t", change.sha], { check: false });
  throw new DpError("usage", `git cannot take this push, so nothing was deployed: ${words}`, {
    ...(kind === "tag" ? { hint: `push the tag's commit: git push production 'TAG^{commit}:${branch}'` } : {}),
  });
}

/** Git's objection to the changes, or null. */
async function refusalOf(repo: string, changes: readonly RefChange[]): Promise<string | null> {
  const lines = changes.map(({ ref, sha }) => (NOTHING.test(sha) ? `delete ${ref}` : `update ${ref} ${sha}`));
  const script = ["start", ...lines, "prepare", "abort", ""].join("\n");
  const { code, text } = await gitWithInput(repo, ["update-ref", "--stdin"], script, { check: false });
  if (code === 0) return null;
  const fatal = text.split("\n").findLast((line) => line.startsWith("fatal: "));
  return fatal?.slice("fatal: ".length) ?? text;
}
