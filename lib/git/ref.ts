// What a ref of a repository names.
import { run } from "../host/run.ts";

/** The commit that a ref names, in full; "" when there is no such ref. */
export async function tipOf(repo: string, ref: string): Promise<string> {
  const argv = ["git", "--git-dir", repo, "rev-parse", "--verify", "--quiet", "--end-of-options", ref];
  return (await run(argv, { check: false })).text;
}

/** Whether a commit is another one, or comes after it. */
export async function contains(repo: string, sha: string, earlier: string): Promise<boolean> {
  if (sha === "") return false;
  return (
    (await run(["git", "--git-dir", repo, "merge-base", "--is-ancestor", earlier, sha], { check: false })).code === 0
  );
}
