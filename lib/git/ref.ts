// Looks up refs and ancestry in a repository.
import { git, objectName } from "./git.ts";

/** The full sha of the commit that a ref points at; "" when the ref does not exist. */
export async function tipOf(repo: string, ref: string): Promise<string> {
  const words = ["rev-parse", "--verify", "--quiet", "--end-of-options", ref];
  return objectName((await git(repo, words, { check: false })).text) ?? "";
}

/** Whether `sha` is the commit `earlier` or a descendant of it. */
export async function contains(repo: string, sha: string, earlier: string): Promise<boolean> {
  if (sha === "") return false;
  return (await git(repo, ["merge-base", "--is-ancestor", earlier, sha], { check: false })).code === 0;
}
