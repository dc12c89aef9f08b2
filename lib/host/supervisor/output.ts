// The log of an instance, written by its supervisor: each line with its time, in at most two files.
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";

/** A file that has grown to this many bytes becomes `FILE.1` and replaces the previous one. */
const LIMIT = 10 * 1024 * 1024;
/** A line without an end is cut into pieces of this many characters. */
const LONGEST = 64 * 1024;

/** About how many characters are written at once, and how many of each line the time takes. */
const [PIECE, TIME] = [16 * 1024, 26];

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const openLog = (path: string) => openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);

/** The log that a supervisor writes to. */
export interface Output {
  /** `time`, in ISO 8601, is when the lines were printed. Default: now. */
  write(lines: string | readonly string[], time?: string): void;
  close(): void;
}

/** Opens a log for writing. On a full disk lines are lost and counted; the app is never stopped. */
export function openOutput(path: string, limit = LIMIT): Output {
  let fd = openLog(path);
  let size = fstatSync(fd).size;
  let lost = 0;
  const put = (text: string) => void (size += writeSync(fd, text));
  const rotate = () => {
    try {
      renameSync(path, `${path}.1`);
    } catch (error) {
      // The log was removed, or it was renamed and no new one could be opened.
      if (codeOf(error) !== "ENOENT") throw error;
    }
    const next = openLog(path);
    closeSync(fd);
    [fd, size] = [next, 0];
  };
  return {
    write(lines, time = new Date().toISOString()) {
      for (const some of piecesOf(typeof lines === "string" ? [lines] : lines)) {
        try {
          if (size >= limit) rotate();
          if (lost > 0) put(`${time} (${lost} lines could not be written)\n`);
          lost = 0;
          put(some.map((line) => `${time} ${line}\n`).join(""));
        } catch {
          lost += some.length; // the disk is full: the next line tries again
        }
      }
    },
    close: () => closeSync(fd),
  };
}

/** Lines in pieces, each for one write: many short ones take as little time as a long one. */
function piecesOf(lines: readonly string[]): (readonly string[])[] {
  const pieces: string[][] = [];
  let length = 0;
  for (const line of lines) {
    if (length === 0) pieces.push([]);
    pieces.at(-1)!.push(line);
    length += line.length + TIME;
    if (length >= PIECE) length = 0;
  }
  return pieces;
}

/** Writes everything that comes out of a pipe, line by line, until its end or until `giveUp` resolves. */
export async function keepOutput(
  from: ReadableStream<Uint8Array>,
  to: Output,
  giveUp: Promise<unknown>,
): Promise<void> {
  const reader = from.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  // A process that still holds the pipe at this point is not part of the instance.
  void giveUp.then(() => reader.cancel());
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) to.write(lines);
    for (; rest.length > LONGEST; rest = rest.slice(LONGEST)) to.write(rest.slice(0, LONGEST));
    // A flood would always have the next bytes ready, and keep everything else of this process waiting.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (rest !== "") to.write(rest);
}

const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)$/s;

/** Splits a line of a log into its text and time. A line without a time was cut, or is older than this format. */
export function parseLine(line: string): [text: string, time: string | null] {
  const found = LINE.exec(line);
  return found ? [found[2]!, found[1]!] : [line, null];
}

const CHUNK = 256 * 1024;

/** Reads a growing log through its rotations: `read` passes on what is new since the last call. */
export function reader(path: string) {
  let fd: number | null = null;
  let at = 0;
  const buffer = Buffer.alloc(CHUNK);
  const open = (file: string) => {
    try {
      fd = openSync(file, O_RDONLY | O_NOFOLLOW);
    } catch {
      fd = null; // does not exist yet
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
    /** Starts with the older file, if there is one. */
    read(take: (chunk: Buffer) => void): void {
      if (fd === null) open(inode(`${path}.1`) === null ? path : `${path}.1`);
      for (;;) {
        const mine = fd === null ? null : fstatSync(fd).ino;
        const [now, old] = [inode(path), inode(`${path}.1`)];
        drain(take);
        if (now === null || now === mine || mine === null) return;
        // Nobody writes to a renamed file any more: it has been read completely.
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
