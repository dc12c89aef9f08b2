// Reading /proc: whatever has gone, or may not be seen, is an empty answer.
import { readdirSync, readFileSync } from "node:fs";

/** The text of a file below /proc, or null when the process is gone or belongs to somebody else. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, "latin1");
  } catch {
    return null; // ENOENT, ESRCH, EACCES: nothing can be said about it
  }
}

/** The names in a folder below /proc; none when it cannot be read. */
export function listProc(path: string): string[] {
  try {
    return readdirSync(`/proc/${path}`);
  } catch {
    return [];
  }
}

/** The number of every process that can be seen. */
export function allPids(): number[] {
  return listProc("").map(Number).filter(Number.isInteger);
}
