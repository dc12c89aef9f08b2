// One deploy at a time: flock(2) on a file that is never removed, close-on-exec, freed by death.
import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { tryFlock } from "./process/libc.ts";

export interface Lock {
  /** Records the holder, for those who wait: any JSON value. */
  note(holder: unknown): void;
  release(): void;
}

/** Takes the lock of a file without waiting; null when another process holds it. Several may hold a shared one. */
export function tryLock(path: string, kind: "exclusive" | "shared" = "exclusive"): Lock | null {
  // Bun opens close-on-exec: no child ever holds the lock.
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!tryFlock(fd, kind)) {
    closeSync(fd);
    return null;
  }
  // The last holder's note must not be taken for this one's. Its room is kept: to give it back and take it again would be
  // two changes on the disk.
  const { size } = fstatSync(fd);
  if (size > 0) writeSync(fd, " ".repeat(size), 0);
  return {
    note: (holder) => void writeSync(fd, JSON.stringify(holder).padEnd(fstatSync(fd).size), 0),
    release: () => closeSync(fd),
  };
}

/** Whether any process holds the lock of a file. */
export function isLocked(path: string): boolean {
  const lock = probe(path);
  if (lock === null) return true;
  if (lock !== undefined) closeSync(lock);
  return false;
}

// Opens without creating or truncating: a query must not wipe the holder's note. undefined: the file does not exist.
function probe(path: string): number | null | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  // A shared lock: two simultaneous queries must not take each other for the holder.
  if (tryFlock(fd, "shared")) return fd;
  closeSync(fd);
  return null;
}

/** The holder's note, or null when nobody holds the lock or the note is not written yet. */
export function holderOf(path: string): unknown {
  if (!isLocked(path)) return null;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null; // held, but the note is not written yet
  }
}

/** Waits for the lock. `turn` is called before each try and may throw to give up; `waiting` is called once. */
export async function waitForLock(path: string, turn: () => void, waiting: () => void): Promise<Lock> {
  for (let tries = 0; ; tries++) {
    turn();
    const lock = tryLock(path);
    if (lock) return lock;
    if (tries === 0) waiting();
    await Bun.sleep(100);
  }
}
