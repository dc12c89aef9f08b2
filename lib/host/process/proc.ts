// Reading /proc: whatever has gone, or may not be seen, is an empty answer.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

/** The text of a file below /proc, or null when the process is gone or belongs to somebody else. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, "latin1");
  } catch {
    return null; // ENOENT, ESRCH, EACCES: nothing can be said about it
  }
}

// Little at a time: to fill a larger buffer the kernel would go on looking behind the lines that are wanted.
const CHUNK = 256;

/** Hands over the lines of a file below /proc until one is answered false: of a long file no more than that is read. */
export function readProcLines(path: string, wantsMore: (line: string) => boolean): void {
  let fd: number;
  try {
    fd = openSync(`/proc/${path}`, "r");
  } catch {
    return; // not to be seen, or no IPv6
  }
  try {
    const buffer = Buffer.alloc(CHUNK);
    for (let rest = "", size = read(fd, buffer); size > 0; size = read(fd, buffer)) {
      const lines = (rest + buffer.toString("latin1", 0, size)).split("\n");
      rest = lines.pop() ?? "";
      if (!lines.every(wantsMore)) return;
    }
  } finally {
    closeSync(fd);
  }
}

function read(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch {
    return 0; // ESRCH: gone meanwhile
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
