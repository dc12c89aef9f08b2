// The ballast: reserved disk space that is given up when the disk is full, so that a rollback is still possible.
import { open, rename, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../errors.ts";
import { deployments } from "../paths.ts";

/** Bytes: a rollback writes about thirty small files. */
const SIZE = 1024 * 1024;
/** The most bytes of random data that one call returns. */
const MOST = 64 * 1024;
/** Bytes that must be free before the ballast is made: it must not fill the disk itself. */
const ROOM = 16 * SIZE;
const FILES = 256;

const path = () => join(deployments(), ".ballast");

/** Whether the ballast exists. */
export const hasBallast = async () => (await deviceOf(path())) !== null;

/** Whether the apps' disk has room for the ballast and a reserve, both in bytes and in inodes. */
export async function hasRoom(): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(deployments());
  // A file system without an inode limit reports zero inodes.
  return bavail * bsize >= ROOM && (files === 0 || ffree >= FILES);
}

/** Makes the ballast if it is missing and there is room; returns whether it was made. */
export async function makeBallast(): Promise<boolean> {
  try {
    if ((await hasBallast()) || !(await hasRoom())) return false;
    await write(`${path()}.tmp.${process.pid}`);
    return true;
  } catch (error) {
    // dp works without a ballast, whatever the reason for the failure. Only the rollback on a full disk is lost.
    if (codeOf(error) !== undefined) return false;
    throw error;
  }
}

// Random bytes: a file system may store zeros without using any space.
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

/** Gives up the ballast if it is on the same disk as the folder; returns false when there is none that would help. */
export async function dropBallast(folder: string): Promise<boolean> {
  const device = await deviceOf(path());
  if (device === null || device !== (await deviceOf(folder))) return false;
  try {
    await unlink(path());
    return true;
  } catch (error) {
    // ENOENT: another process gave it up at the same moment, which helps as well. Otherwise this user may not remove it.
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
