// How much is free on the apps' disk, and whether that is little.
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { deployments } from "../paths.ts";

/** Less than this share free is little; twice that is enough. */
const SHARE = 0.05;

/** What is free for users other than root. */
export interface DiskRoom {
  bytes: number;
  total: number;
  /** Null: the file system has no limit of its own. */
  files: number | null;
  totalFiles: number;
  isShortOfFiles: boolean;
}

export async function lookAtDisk(): Promise<DiskRoom> {
  // Before the first app there is no folder yet: it will be on the disk of the one above.
  let place = deployments();
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize, blocks, files: totalFiles, ffree } = await statfs(place);
  const files = totalFiles === 0 ? null : ffree;
  const isShortOfFiles = files !== null && files < totalFiles * SHARE;
  return { bytes: bavail * bsize, total: blocks * bsize, files, totalFiles, isShortOfFiles };
}

/** "low": less than the largest `minFree` (bytes) or 5 %, in bytes or inodes. "enough": twice that. */
export function judgeDisk(
  { bytes, total, files, totalFiles }: Omit<DiskRoom, "isShortOfFiles">,
  minFree: readonly number[],
): "low" | "between" | "enough" {
  const least = Math.max(total * SHARE, ...minFree);
  const leastFiles = files === null ? 0 : totalFiles * SHARE;
  if (bytes < least || (files !== null && files < leastFiles)) return "low";
  return bytes >= 2 * least && (files === null || files >= 2 * leastFiles) ? "enough" : "between";
}
