// Reads /proc: a process that is gone, or may not be seen, gives an empty result.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

/** The text of a file below /proc, or null when the process is gone or belongs to another user. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, "latin1");
  } catch {
    return null; // ENOENT, ESRCH, EACCES
  }
}

// A small chunk: to fill a larger buffer the kernel would search on behind the lines that are wanted.
const CHUNK = 256;

/** Passes the lines of a file below /proc to `wantsMore` until it returns false. A long file is read no further than that. */
export function readProcLines(path: string, wantsMore: (line: string) => boolean): void {
  let fd: number;
  try {
    fd = openSync(`/proc/${path}`, "r");
  } catch {
    return; // not readable, or no IPv6
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
    return 0; // ESRCH: gone in the meantime
  }
}

/** The names in a folder below /proc; empty when it cannot be read. */
export function listProc(path: string): string[] {
  try {
    return readdirSync(`/proc/${path}`);
  } catch {
    return [];
  }
}

/** The pid of every process that can be seen. */
export function allPids(): number[] {
  return listProc("").map(Number).filter(Number.isInteger);
}
