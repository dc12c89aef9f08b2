// Databases that a build or a hook left in the release, where the next deploy does not look, and mostly the app cannot write.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Tree } from "../git/tree.ts";
import { canTake } from "../host/ownership.ts";

const DATABASE = /\.(?:db3?|sqlite3?)$/;
/** How many levels of folders are searched; dependencies have files of their own kind. */
const DEPTH = 3;
const SKIPPED = new Set(["node_modules", ".git", ".venv", "vendor"]);

/**
 * One sentence for each database file below a release's folder that is not part of the commit. `user`: the app's own; without
 * one it can write into its releases.
 */
export async function strayData(release: string, tree: Tree, user: string | undefined): Promise<string[]> {
  const committed = new Set((await tree.list()).map(({ path }) => path));
  const found = (await databasesIn(release, "", DEPTH)).filter((path) => !committed.has(path));
  const is = canTake(user) ? "read-only and new" : "new";
  return found.toSorted().map((path) => {
    const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "data";
    return `${path} is in the release, which is ${is} with each deploy: keep it below shared: {dirs: [${folder}]}`;
  });
}

async function databasesIn(release: string, folder: string, depth: number): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(release, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isFile() && DATABASE.test(entry.name)) found.push(path);
    // A link to a shared folder is skipped.
    else if (entry.isDirectory() && depth > 0 && !SKIPPED.has(entry.name))
      found.push(...(await databasesIn(release, path, depth - 1)));
  }
  return found;
}
