// The ballast: room on the disk that is given up when the disk is full, so that there is still a way back.
import { open, rename, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../errors.ts";
import { deployments } from "../paths.ts";

/** Bytes: a rollback writes about thirty small files. */
const SIZE = 1024 * 1024;
/** Bytes of random data that can be had at once. */
const MOST = 64 * 1024;
/** Bytes that must be free for it to be made: it must not be what fills the disk. */
const ROOM = 16 * SIZE;
const FILES = 256;

const path = () => join(deployments(), ".ballast");

/** Whether there is one. */
export const hasBallast = async () => (await deviceOf(path())) !== null;

/** Whether there is room on the disk of the apps: for the ballast, and some more, in bytes and in files. */
export async function hasRoom(): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(deployments());
  // A file system that has as many files as it likes says that it has none.
  return bavail * bsize >= ROOM && (files === 0 || ffree >= FILES);
}

/** Makes the ballast when there is none, and room for it; answers whether it was made. */
export async function makeBallast(): Promise<boolean> {
  try {
    if ((await hasBallast()) || !(await hasRoom())) return false;
    await write(`${path()}.tmp.${process.pid}`);
    return true;
  } catch (error) {
    // Without it all goes on as before, whatever the system has against it: only the way back on a full disk is lost.
    if (codeOf(error) !== undefined) return false;
    throw error;
  }
}

// Random bytes, because a file system may keep zeros in no room at all.
async function write(temp: string): Promise<void> {
  const handle = await open(temp, "w", 0o600);
  try {
    for (let at = 0; at < SIZE; at += MOST) await handle.write(crypto.getRandomValues(new Uint8Array(MOST)));
    await handle.sync();
    await rename(temp, path());
  } catch (error) {
    await unlink(temp);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Gives the ballast up when it lies on the disk of that folder; false when there is none that would help. */
export async function dropBallast(folder: string): Promise<boolean> {
  const device = await deviceOf(path());
  if (device === null || device !== (await deviceOf(folder))) return false;
  try {
    await unlink(path());
    return true;
  } catch (error) {
    // Somebody else gave it up at the same moment, which helps as well; or it is not this user's to give up.
    return codeOf(error) === "ENOENT";
  }
}

async function deviceOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).dev;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
}
