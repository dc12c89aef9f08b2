// What an instance says, kept in a file by its supervisor: each line with its time, and never more than two files.
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";

/** A file that has grown to this many bytes becomes `FILE.1`, and the one of that name goes. */
const LIMIT = 10 * 1024 * 1024;
/** A line without end is cut into pieces of this many characters. */
const LONGEST = 64 * 1024;

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const openLog = (path: string) => openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);

/** Where a supervisor writes lines. */
export interface Output {
  /** `time`, ISO 8601, is when it was said; default now. */
  write(line: string, time?: string): void;
  close(): void;
}

/** Opens a log for writing. A full disk loses lines, and says how many; it never stops the app. */
export function openOutput(path: string, limit = LIMIT): Output {
  let fd = openLog(path);
  let size = fstatSync(fd).size;
  let lost = 0;
  const put = (text: string) => void (size += writeSync(fd, text));
  const rotate = () => {
    try {
      renameSync(path, `${path}.1`);
    } catch (error) {
      // It was removed, or renamed before and then no other could be opened.
      if (codeOf(error) !== "ENOENT") throw error;
    }
    const next = openLog(path);
    closeSync(fd);
    [fd, size] = [next, 0];
  };
  return {
    write(line, time = new Date().toISOString()) {
      try {
        if (size >= limit) rotate();
        if (lost > 0) put(`${time} (${lost} lines could not be written)\n`);
        lost = 0;
        put(`${time} ${line}\n`);
      } catch {
        lost++; // the disk is full: the next line tries again
      }
    },
    close: () => closeSync(fd),
  };
}

/** Writes all that comes out of a pipe, line by line, until its end or until `giveUp`. */
export async function keepOutput(
  from: ReadableStream<Uint8Array>,
  to: Output,
  giveUp: Promise<unknown>,
): Promise<void> {
  const reader = from.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  // Whatever holds the pipe then is none of this instance.
  void giveUp.then(() => reader.cancel());
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) to.write(line);
    for (; rest.length > LONGEST; rest = rest.slice(LONGEST)) to.write(rest.slice(0, LONGEST));
  }
  if (rest !== "") to.write(rest);
}

const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)$/s;

/** A line of a log as its text and time; one without a time is older than this format, or cut. */
export function parseLine(line: string): [text: string, time: string | null] {
  const found = LINE.exec(line);
  return found ? [found[2]!, found[1]!] : [line, null];
}

const CHUNK = 256 * 1024;

/** Reads a log as it grows, through its rotations: `read` hands over what is new since it was called last. */
export function reader(path: string) {
  let fd: number | null = null;
  let at = 0;
  const buffer = Buffer.alloc(CHUNK);
  const open = (file: string) => {
    try {
      fd = openSync(file, O_RDONLY | O_NOFOLLOW);
    } catch {
      fd = null; // not there yet
    }
    at = 0;
  };
  const drain = (take: (chunk: Buffer) => void) => {
    for (let count = 1; fd !== null && count > 0; at += count) {
      count = readSync(fd, buffer, 0, CHUNK, at);
      if (count > 0) take(Buffer.from(buffer.subarray(0, count)));
    }
  };
  const close = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  return {
    /** Begins with the older file, when there is one. */
    read(take: (chunk: Buffer) => void): void {
      if (fd === null) open(inode(`${path}.1`) === null ? path : `${path}.1`);
      for (;;) {
        const mine = fd === null ? null : fstatSync(fd).ino;
        const [now, old] = [inode(path), inode(`${path}.1`)];
        drain(take);
        if (now === null || now === mine || mine === null) return;
        // Nothing is written to a file that was renamed: what was read is all of it.
        drain(take);
        close();
        open(old === mine ? path : `${path}.1`);
      }
    },
    close,
  };
}

function inode(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
