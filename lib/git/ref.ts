// Looks up refs and ancestry in a repository.
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { git, objectName } from "./git.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** Longer than the file of any ref. */
const LONG = 128;

/** The full sha of the commit that a ref points at; "" when the ref does not exist. */
export async function tipOf(repo: string, ref: string): Promise<string> {
  const own = ownFile(repo, ref);
  if (own !== null) return own;
  const words = ["rev-parse", "--verify", "--quiet", "--end-of-options", ref];
  return objectName((await git(repo, words, { check: false })).text) ?? "";
}

/** The ref in a file of its own, which comes before all others; null: git has it elsewhere, or has none. */
function ownFile(repo: string, ref: string): string | null {
  if (!/^refs\/[\w/.-]+$/.test(ref) || ref.includes("..")) return null;
  try {
    // Git's user may have put anything there.
    const fd = openSync(join(repo, ref), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      const text = stat.isFile() && stat.size < LONG ? readFileSync(fd, "latin1") : "";
      return objectName(text.replace(/\n$/, ""));
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

/** Whether `sha` is the commit `earlier` or a descendant of it. */
export async function contains(repo: string, sha: string, earlier: string): Promise<boolean> {
  if (sha === "") return false;
  return (await git(repo, ["merge-base", "--is-ancestor", earlier, sha], { check: false })).code === 0;
}
