// The version of this dp and the commit that it was built from.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json";
import { readText } from "./files.ts";
import { run } from "./run.ts";
import { treeOfDp } from "./self.ts";

export { version } from "../../package.json";

/** The short sha, with `-dirty` for modified files: recorded by install.sh, otherwise asked from git; null: not known. */
export async function commitOfDp(): Promise<string | null> {
  const noted = await readText(join(treeOfDp, ".commit"));
  if (noted !== null) return noted.trim() || null;
  // A repository in a parent folder belongs to another project.
  if (!existsSync(join(treeOfDp, ".git")) || Bun.which("git") === null) return null;
  const describe = ["describe", "--always", "--dirty", "--exclude=*"];
  const { code, text } = await run(["git", "-C", treeOfDp, ...describe], { check: false });
  return code === 0 ? text.trim() : null;
}

/** `0.2.0 (1a2b3c4)`. */
export async function versionText(): Promise<string> {
  const commit = await commitOfDp();
  return commit === null ? version : `${version} (${commit})`;
}

/** Whether a version such as 0.9.1 is older than another, compared by its numbers. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number));
  const at = [0, 1, 2].find((place) => (a?.[place] ?? 0) !== (b?.[place] ?? 0));
  return at !== undefined && (a?.[at] ?? 0) < (b?.[at] ?? 0);
}
