// Disk space: the free bytes and inodes on the file system of a folder.
import { lstatSync, readdirSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
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
  const small = smallRoom(paths);
  if (small !== null) return small;
  // One look at each: the device and inode, and the blocks of 512 bytes.
  const argv = ["find", ...paths, "-printf", "%D:%i %b\\n"];
  const { code, timedOut, text } = await io.run(argv, { check: false, quiet: true, timeout, keep: LISTING });
  if (code !== 0 || timedOut) return null;
  const blocks = new Map(text.split("\n").map((line) => line.split(" ") as [inode: string, blocks: string]));
  return { bytes: 512 * [...blocks.values()].reduce((sum, count) => sum + Number(count), 0), files: blocks.size };
}

/** More files than these are counted by a program: that can be given up. */
const FEW = 1_000;

/** The same without another program; null: there are too many files, or they change meanwhile. */
function smallRoom(paths: readonly string[]): Room | null {
  const seen = new Set<string>();
  const left = [...paths];
  let bytes = 0;
  try {
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      const stat = lstatSync(path);
      const inode = `${stat.dev} ${stat.ino}`;
      if (seen.has(inode)) continue;
      seen.add(inode);
      bytes += 512 * stat.blocks;
      if (stat.isDirectory()) left.push(...readdirSync(path).map((name) => join(path, name)));
      if (seen.size + left.length > FEW) return null;
    }
  } catch {
    return null;
  }
  return { bytes, files: seen.size };
}
