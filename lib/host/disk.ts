// Room on a disk: the bytes and the names (inodes) that are free where a folder lies.
import { statfs } from "node:fs/promises";

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

/** What was taken between two looks at the same disk; what others gave back meanwhile is no less than nothing. */
export function roomTaken(before: Room, after: Room): Room {
  const files = before.files === null || after.files === null ? null : Math.max(0, before.files - after.files);
  return { bytes: Math.max(0, before.bytes - after.bytes), files };
}
