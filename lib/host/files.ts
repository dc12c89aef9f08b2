// Atomic file writes: temp file, fsync, rename, fsync of the folder.
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { dropBallast } from "./ballast.ts";
import { codeOf, DpError } from "../errors.ts";
import { isAlive } from "./process/process.ts";

// Only fsync may take long, and dp must stay responsive while it does. The other calls take less time than a hand-over to
// another thread.
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
 * Replaces a file with one rename, durably; a reader sees either the old text or the new one. The temp file is in the
 * same folder and is never a link made by somebody else. `owner` becomes the file's owner; default: dp's user. On a full
 * disk the ballast is given up first; throws DpError "host" when that is not enough.
 */
export const writeFileAtomic = (
  path: string,
  text: string,
  mode = 0o600,
  owner?: readonly [uid: number, gid: number],
): Promise<void> => withRoom(path, () => replace(path, text, mode, owner));

/**
 * The same, but after a power cut the file may be as it was, half, or missing: for a record that counts until the next boot,
 * and whose readers take half of one for none.
 */
export const writeFileUntilBoot = (path: string, text: string, mode = 0o600): Promise<void> =>
  withRoom(path, async () => replaceUntilBoot(path, text, mode));

/**
 * Writes over a record on which nobody counts any more, in its place: to replace a file takes ten times as long, most of it
 * for the disk. A reader may see half of it; white space follows where it was longer. False: it is to be replaced, for there
 * is none, it needs more room, it is not this user's alone, or it may be half written now.
 */
export function overwrite(path: string, text: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    const { size, mode, uid, nlink } = fstatSync(file);
    const [whole, bytes] = [Buffer.alloc(size, "\n"), Buffer.from(text)];
    if (mode !== OWN_FILE || uid !== process.geteuid!() || nlink !== 1 || bytes.copy(whole) < bytes.length)
      return false;
    return writeSync(file, whole, 0, size, 0) === size;
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Gives up the ballast when the disk is full. Throws DpError "host" when that is not enough. */
async function withRoom(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (codeOf(error) !== "ENOSPC") throw error;
    if (await dropBallast(dirname(path))) return write();
    throw new DpError("host", `the disk is full: ${path} cannot be written`, {
      hint: `make room there: df -h ${dirname(path)}`,
      cause: error,
    });
  }
}

/** The mode of a file that its owner alone may read and write. */
const OWN_FILE = constants.S_IFREG | 0o600;

/** How many files this process has written: two writes of one file at a time need two temp files. */
let written = 0;

const tempOf = (path: string) => `${path}.tmp.${(written += 1)}.${process.pid}`;

function replaceUntilBoot(path: string, text: string, mode: number): void {
  const temp = tempOf(path);
  try {
    const fd = openNew(temp, mode);
    try {
      fchmodSync(fd, mode); // independent of the umask
      writeFileSync(fd, text);
    } finally {
      closeSync(fd);
    }
    renameSync(temp, path);
  } catch (error) {
    rmSync(temp, { force: true });
    throw error;
  }
}

async function replace(path: string, text: string, mode: number, owner?: readonly [number, number]): Promise<void> {
  const temp = tempOf(path);
  try {
    await writeDurably(temp, text, mode, owner);
    await rename(temp, path);
  } catch (error) {
    // A full disk must not be made fuller.
    rmSync(temp, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a file. One of that name is what another process of this pid has left. */
function openNew(path: string, mode: number): number {
  try {
    return openSync(path, "wx", mode);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    rmSync(path, { force: true });
    return openSync(path, "wx", mode);
  }
}

async function writeDurably(path: string, text: string, mode: number, owner?: readonly [number, number]) {
  const fd = openNew(path, mode);
  try {
    fchmodSync(fd, mode); // independent of the umask
    if (owner) fchownSync(fd, ...owner);
    writeFileSync(fd, text);
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Temp files in a folder whose writer was killed. */
export async function staleTemps(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => {
    const writer = /\.tmp\.(?:\d+\.)?(\d+)$/.exec(name)?.[1];
    return writer !== undefined && !isAlive(Number(writer));
  });
}

/** Removes stale temp files: no other code does. */
export async function removeStaleTemps(folder: string): Promise<void> {
  for (const name of await staleTemps(folder)) await removeFile(join(folder, name));
}

/** The names in a folder; empty when the folder does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Removes a file or link; returns false when it did not exist. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** The text of a small file of dp's own that most often is not there, or null: to ask first costs less than an error. */
export function textIfThere(path: string): string | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined ? null : readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null; // gone in between
    throw error;
  }
}

const text = new TextDecoder();
/** A pipe that somebody else has put there must not hold up the open. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK;
/** Most of dp's files fit in: a buffer of its own for each takes longer than the read. */
const room = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * The text of a file that dp alone writes, or null when it does not exist. It is no pipe, and need not be looked at before it
 * is read.
 */
export function ownText(path: string): string | null {
  try {
    return readFileSync(path, { encoding: "utf8", flag: READ });
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return null;
    throw error;
  }
}

/** The text of a file, or null when it does not exist. */
export async function readText(path: string): Promise<string | null> {
  try {
    const fd = openSync(path, READ);
    try {
      // A small file is read in less time than another thread is handed one.
      const stat = fstatSync(fd);
      if (stat.isFile()) return text.decode(bytesOf(fd, stat.size));
    } finally {
      closeSync(fd);
    }
    return await Bun.file(path).text();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return null;
    throw error;
  }
}

/** The bytes of a regular file that was just opened; a file of /proc has size 0. They are there until the next call. */
function bytesOf(fd: number, size: number): Uint8Array {
  if (size > 0 && size <= room.length && readSync(fd, room, 0, size, 0) === size) return room.subarray(0, size);
  return readFileSync(fd);
}
