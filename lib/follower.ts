// Reads a log while it grows and prints it, without ever waiting for whoever reads the print.
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { codeOf } from "./errors.ts";

const POLL = 40;
/** Characters that may wait for a slow reader before lines are dropped. */
const BACKLOG = 1024 * 1024;
/** How long the last lines may take to be read once the deploy has ended, in ms. */
const LAST = 2_000;

/** Where what was read goes: `flush` tries again what could not be written yet. */
export interface Sink {
  print(chunk: Buffer): void;
  flush(): void;
  end(): Promise<void>;
}

/**
 * Prints what is appended to `log` from byte `start` on, until `ended` resolves; answers its value. A reader
 * that is gone (git with a dead client stops reading, and a full pipe would block for ever) loses lines,
 * nothing else.
 */
export async function follow(
  log: string,
  start: number,
  ended: Promise<number>,
  out: Sink = printer(1),
): Promise<number> {
  const file = openSync(log, "r");
  const buffer = Buffer.alloc(64 * 1024);
  let at = start;
  const drain = () => {
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, at);
      if (count === 0) return;
      at += count;
      out.print(Buffer.from(buffer.subarray(0, count)));
    }
  };
  try {
    for (;;) {
      const code = await Promise.race([ended, Bun.sleep(POLL).then(() => null)]);
      drain();
      out.flush();
      if (code === null) continue;
      await out.end();
      return code;
    }
  } finally {
    closeSync(file);
  }
}

/** Writes to stdout (1) or stderr (2) without blocking: what cannot be written waits, and too much of it is dropped. */
export function printer(to: 1 | 2): Sink {
  const fd = openForPrint(to);
  let waiting: Buffer[] = [];
  let size = 0;
  let isGone = false;
  const flush = () => {
    while (waiting.length > 0 && !isGone) {
      const chunk = waiting[0]!;
      const written = tryWrite(fd, chunk);
      if (written === null) isGone = true;
      else if (written === 0) return;
      else if (written === chunk.length) waiting.shift();
      else waiting[0] = chunk.subarray(written);
      size -= written ?? 0;
    }
  };
  return {
    flush,
    print(chunk: Buffer) {
      if (isGone || size + chunk.length > BACKLOG) return;
      waiting.push(chunk);
      size += chunk.length;
    },
    async end() {
      const deadline = performance.now() + LAST;
      for (flush(); waiting.length > 0 && !isGone && performance.now() < deadline; flush()) await Bun.sleep(POLL);
      waiting = [];
      if (fd !== to) closeSync(fd);
    },
  };
}

// A pipe opened anew has flags of its own: O_NONBLOCK here is not seen by those who share the old one.
function openForPrint(to: 1 | 2): number {
  try {
    if (!fstatSync(to).isFIFO()) return to;
    return openSync(`/proc/self/fd/${to}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return to;
  }
}

/** Bytes written; 0 when the pipe is full; null when nobody will ever read. */
function tryWrite(fd: number, chunk: Buffer): number | null {
  try {
    return writeSync(fd, chunk);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return 0;
    return null;
  }
}

/** A sink that hands over whole lines. */
export function lineSink(onLine: (line: string) => void): Sink {
  let rest = "";
  return {
    print(chunk) {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(onLine);
    },
    flush() {},
    async end() {
      if (rest !== "") onLine(rest);
    },
  };
}
