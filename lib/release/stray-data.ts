// Databases that a build or a hook left in the release, where the app cannot write and the next deploy does not look.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Tree } from "../git/tree.ts";

const DATABASE = /\.(?:db3?|sqlite3?)$/;
/** How many levels of folders are searched; dependencies have files of their own kind. */
const DEPTH = 3;
const SKIPPED = new Set(["node_modules", ".git", ".venv", "vendor"]);

/** One sentence for each database file below a release's folder that is not part of the commit. */
export async function strayData(release: string, tree: Tree): Promise<string[]> {
  const committed = new Set((await tree.list()).map(({ path }) => path));
  const found = (await databasesIn(release, "", DEPTH)).filter((path) => !committed.has(path));
  return found.toSorted().map((path) => {
    const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "data";
    return `${path} is in the release, which is read-only and new with each deploy: keep it below shared: {dirs: [${folder}]}`;
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
