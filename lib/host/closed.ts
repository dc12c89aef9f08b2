// Folders of shared/ that the app may not change: whoever can rename the entries of a folder decides where a path through
// it leads.
import { chmod, lchown, lstat, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { isOther } from "./process/privilege.ts";
import { idsOf } from "./users.ts";

/** The parent folders of a name such as `public/uploads`, relative to the same folder: `public`. */
export const parentsOf = (name: string): string[] => {
  const parent = dirname(name);
  return parent === "." ? [] : [...parentsOf(parent), parent];
};

/**
 * Gives shared/ and the folders between it and these names to root, readable by the app's user; missing folders are made.
 * From then on only root can replace a folder on the path to one of the names. Does nothing when dp is not root. Safe to
 * repeat. Throws DpError "config" when one of them is not a folder.
 */
export async function closeParents(shared: string, names: readonly string[], user: string | undefined): Promise<void> {
  if (!isOther(user)) return;
  const [, gid] = await idsOf(user);
  // From the top down: by the time a folder's entries are checked, nobody else can change them.
  for (const folder of [shared, ...new Set(names.flatMap(parentsOf).map((parent) => join(shared, parent)))]) {
    const stat = (await statOf(folder)) ?? (await made(folder));
    if (!stat.isDirectory())
      throw new DpError("config", `${folder} is not a folder, and cannot be mounted into a container`);
    if (stat.uid === 0 && stat.gid === gid && (stat.mode & 0o7777) === MODE) continue;
    await lchown(folder, 0, gid);
    // The mode also narrows an access control list that the app may have left on the folder.
    await chmod(folder, MODE);
  }
}

const MODE = 0o750;

async function made(folder: string) {
  await mkdir(folder);
  return lstat(folder);
}

/** Whether closeParents has given shared/ to root. */
export async function isClosed(shared: string): Promise<boolean> {
  return (await statOf(shared))?.uid === 0;
}

/** The stat of the path itself (a link is not followed), or null. */
export async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
