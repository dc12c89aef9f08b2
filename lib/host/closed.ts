// Folders of shared/ that the app may not change: who can rename what is in a folder decides what a path through it means.
import { chmod, lchown, lstat, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { isOther } from "./process/privilege.ts";
import { idsOf } from "./users.ts";

/** The folders that a name such as `public/uploads` lies in, below the one that it is relative to: `public`. */
export const parentsOf = (name: string): string[] => {
  const parent = dirname(name);
  return parent === "." ? [] : [...parentsOf(parent), parent];
};

/**
 * Makes shared/ and the folders between it and these names root's, to be read by the app's user; what is missing is made.
 * From then on only root can put something else where one of the names is, at whatever time it is looked up. Nothing
 * happens when dp is not root. Safe to repeat. Throws DpError "config" when there is something else than a folder.
 */
export async function closeParents(shared: string, names: readonly string[], user: string | undefined): Promise<void> {
  if (!isOther(user)) return;
  const [, gid] = await idsOf(user);
  // From the top down: what a folder holds is looked at when nobody can change that any more.
  for (const folder of [shared, ...new Set(names.flatMap(parentsOf).map((parent) => join(shared, parent)))]) {
    const stat = (await statOf(folder)) ?? (await made(folder));
    if (!stat.isDirectory())
      throw new DpError("config", `${folder} is not a folder, and cannot be mounted into a container`);
    if (stat.uid === 0 && stat.gid === gid && (stat.mode & 0o7777) === MODE) continue;
    await lchown(folder, 0, gid);
    // By its mode a list of further rights, that the app may have left on it, is narrowed as well.
    await chmod(folder, MODE);
  }
}

const MODE = 0o750;

async function made(folder: string) {
  await mkdir(folder);
  return lstat(folder);
}

/** Whether shared/ is root's, by closeParents. */
export async function isClosed(shared: string): Promise<boolean> {
  return (await statOf(shared))?.uid === 0;
}

/** What is there itself, a link or not, or null. */
export async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
