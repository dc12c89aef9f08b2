// An order: which spec a supervisor is to begin, so that one that was written anew or withdrawn since is not begun by it.
import { closeSync, fstatSync, openSync, readFileSync, statSync, utimesSync } from "node:fs";
import type { Spec } from "./supervision.ts";

/** What a supervisor of many is told of an instance, one JSON line each. */
export interface Order {
  /** The path of the spec. */
  spec: string;
  /** Its inode and time in ms: a spec that was written anew is another supervisor's, and one may be withdrawn. */
  inode: number;
  time: number;
  /** It is begun at once, and gets its guard later: until then its starter makes good what happens to the supervisor. */
  isAhead?: boolean;
}

/** What a supervisor of many is told when all instances that it has begun ahead shall have guards. It answers one byte. */
export const GUARD_ALL = "guard all";

/** The order to supervise a spec as it is now. */
export function orderOf(spec: string): Order {
  const { ino, mtimeMs } = statSync(spec);
  return { spec, inode: ino, time: mtimeMs };
}

/** Withdraws the orders of a spec that nobody has begun. It takes no room on the disk, and the spec stays. */
export function withdraw(spec: string): void {
  try {
    utimesSync(spec, 0, 0);
  } catch {
    // It is gone, or on a disk that is read-only: whatever has begun is to be ended all the same.
  }
}

/** The ordered spec; null: it has been removed, replaced or withdrawn since. */
export function specOf({ spec, inode, time }: Order): Spec | null {
  let file: number | undefined;
  try {
    file = openSync(spec, "r");
    const { ino, mtimeMs } = fstatSync(file);
    return ino === inode && mtimeMs === time && time !== 0 ? (JSON.parse(readFileSync(file, "utf8")) as Spec) : null;
  } catch {
    return null;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
