// Disk space: the free bytes and inodes on the file system of a folder.
import { statfs } from "node:fs/promises";
import type { Io } from "./io.ts";

/** Bytes that suffice for the list of millions of files. */
const LISTING = 256 * 1024 * 1024;

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
 * not followed. Paths are absolute; `timeout` is in ms.
 */
export async function roomOf(paths: readonly string[], timeout: number, io: Io): Promise<Room | null> {
  // One look at each: the device and inode, and the blocks of 512 bytes.
  const argv = ["find", ...paths, "-printf", "%D:%i %b\\n"];
  const { code, timedOut, text } = await io.run(argv, { check: false, quiet: true, timeout, keep: LISTING });
  if (code !== 0 || timedOut) return null;
  const blocks = new Map(text.split("\n").map((line) => line.split(" ") as [inode: string, blocks: string]));
  return { bytes: 512 * [...blocks.values()].reduce((sum, count) => sum + Number(count), 0), files: blocks.size };
}
