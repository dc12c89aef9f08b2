// Room on a disk: the bytes and the names (inodes) that are free where a folder lies.
import { statfs } from "node:fs/promises";
import type { Io } from "./io.ts";

export interface Room {
  bytes: number;
  /** Files that can still be made; null: the file system sets no limit of its own, as btrfs. */
  files: number | null;
}

/** What is free where a folder lies, for whoever is not root. */
export async function freeRoom(folder: string): Promise<Room> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return { bytes: bavail * bsize, files: files === 0 ? null : ffree };
}

/**
 * What files and folders take of the disk, each inode once; null when that cannot be told. Links are not followed.
 * `timeout` in ms.
 */
export async function roomOf(paths: readonly string[], timeout: number, io: Io): Promise<Room | null> {
  const sum = async (what: string): Promise<number> => {
    const options = { check: false, quiet: true, timeout };
    const { code, timedOut, text } = await io.run(["du", "-sc", what, "--", ...paths], options);
    return code === 0 && !timedOut ? Number(/(\d+)\ttotal$/.exec(text)?.[1] ?? NaN) : NaN;
  };
  const [bytes, files] = [await sum("--block-size=1"), await sum("--inodes")];
  return Number.isNaN(bytes + files) ? null : { bytes, files };
}
