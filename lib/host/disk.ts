// Disk space: the free bytes and inodes on the file system of a folder.
import { statfs } from "node:fs/promises";
import type { Io } from "./io.ts";

export interface Room {
  bytes: number;
  /** Files that can still be made; null: the file system has no limit of its own (btrfs, for example). */
  files: number | null;
}

/** What is free for a user other than root on the file system of a folder. */
export async function freeRoom(folder: string): Promise<Room> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return { bytes: bavail * bsize, files: files === 0 ? null : ffree };
}

/**
 * The disk space that files and folders use, with each inode counted once; null when it cannot be determined. Links are
 * not followed. `timeout` is in ms.
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
