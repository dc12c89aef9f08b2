// New files in a folder: all or none, and never over an existing one.
import { lstat, mkdir, rmdir, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, DpError } from "../errors.ts";

/** Throws DpError "bug" when any of the names exists already, of whatever kind. */
export async function refuseExisting(dir: string, names: readonly string[]): Promise<void> {
  const there: string[] = [];
  for (const name of names) {
    try {
      await lstat(join(dir, name));
      there.push(name);
    } catch (error) {
      // There is a file in the place of a folder.
      if (codeOf(error) === "ENOTDIR") there.push(dirname(name));
      else if (codeOf(error) !== "ENOENT") throw error;
    }
  }
  if (there.length > 0) throw alreadyThere([...new Set(there)].join(", "), names);
}

function alreadyThere(names: string, all: readonly string[]): DpError {
  const hint = all.length > 1 ? "run dp init in an empty folder" : "edit it, or move it away first";
  return new DpError("bug", `${names} already exists; nothing was written`, { hint });
}

/** Writes all of the files (path -> text), or none: if two create the same file at once, the first one wins. */
export async function writeNew(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  const written: string[] = [];
  const made: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    try {
      made.push(...(await makeFolders(dir, dirname(name))));
      await writeFile(path, text, { flag: "wx", flush: true });
      written.push(path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") written.push(path);
      for (const mine of written) await unlink(mine).catch(ignoreMissing);
      for (const mine of made.reverse()) await rmdir(mine).catch(ignoreUsed);
      throw codeOf(error) === "EEXIST" ? alreadyThere(name, Object.keys(files)) : error;
    }
  }
}

/** Makes the missing folders of a relative path; answers those, the outermost first. */
async function makeFolders(dir: string, path: string): Promise<string[]> {
  const made: string[] = [];
  let folder = dir;
  for (const name of path === "." ? [] : path.split("/")) {
    folder = join(folder, name);
    try {
      await mkdir(folder);
      made.push(folder);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
  return made;
}

function ignoreUsed(error: unknown): void {
  if (codeOf(error) !== "ENOENT" && codeOf(error) !== "ENOTEMPTY") throw error;
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}
