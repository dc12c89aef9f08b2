// Looks up refs and ancestry in a repository.
import { run } from "../host/run.ts";

/** The full sha of the commit that a ref points at; "" when the ref does not exist. */
export async function tipOf(repo: string, ref: string): Promise<string> {
  const argv = ["git", "--git-dir", repo, "rev-parse", "--verify", "--quiet", "--end-of-options", ref];
  return (await run(argv, { check: false })).text;
}

/** Whether `sha` is the commit `earlier` or a descendant of it. */
export async function contains(repo: string, sha: string, earlier: string): Promise<boolean> {
  if (sha === "") return false;
  return (
    (await run(["git", "--git-dir", repo, "merge-base", "--is-ancestor", earlier, sha], { check: false })).code === 0
  );
}
