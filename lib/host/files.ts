// Files that are complete or not there: temp, fsync, rename, fsync of the folder.
import { closeSync, fchmodSync, fchownSync, fsync, openSync, rmSync, writeFileSync } from "node:fs";
import { readdir, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { dropBallast } from "./ballast.ts";
import { codeOf, DpError } from "../errors.ts";
import { isAlive } from "./process/process.ts";

// The one call that may take long, and must not keep dp from noticing that it does. The others are over sooner than they
// could be handed to another thread.
const sync = (fd: number) =>
  new Promise<void>((resolve, reject) => fsync(fd, (error) => (error ? reject(error) : resolve())));

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const fd = openSync(folder, "r");
  try {
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Replaces a file by one rename, durably; a reader sees the old text or the new one. The temp file lies
 * beside it and is never a link that somebody else made. `owner` is whose it becomes; default: dp's. On a full disk
 * the ballast is given up for it; throws DpError "host" when that is not enough.
 */
export async function writeFileAtomic(
  path: string,
  text: string,
  mode = 0o600,
  owner?: readonly [uid: number, gid: number],
): Promise<void> {
  try {
    await replace(path, text, mode, owner);
  } catch (error) {
    if (codeOf(error) !== "ENOSPC") throw error;
    if (await dropBallast(dirname(path))) return replace(path, text, mode, owner);
    throw new DpError("host", `the disk is full: ${path} cannot be written`, {
      hint: `make room there: df -h ${dirname(path)}`,
      cause: error,
    });
  }
}

async function replace(path: string, text: string, mode: number, owner?: readonly [number, number]): Promise<void> {
  const temp = `${path}.tmp.${process.pid}`;
  rmSync(temp, { force: true });
  const fd = openSync(temp, "wx", mode);
  try {
    fchmodSync(fd, mode); // whatever the umask is
    if (owner) fchownSync(fd, ...owner);
    writeFileSync(fd, text);
    await sync(fd);
  } finally {
    closeSync(fd);
  }
  await rename(temp, path);
  await syncFolder(dirname(path));
}

/** The temp files of a folder whose writer was killed. */
export async function staleTemps(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => {
    const writer = /\.tmp\.(\d+)$/.exec(name)?.[1];
    return writer !== undefined && !isAlive(Number(writer));
  });
}

/** Removes them: nobody else would. */
export async function removeStaleTemps(folder: string): Promise<void> {
  for (const name of await staleTemps(folder)) await removeFile(join(folder, name));
}

/** The names in a folder; none when there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Removes a file or link; false when there was none. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** The text of a file, or null when there is none. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return null;
    throw error;
  }
}
