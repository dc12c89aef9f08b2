// Reads a growing log and prints it, without ever waiting for a slow reader.
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { isTerminal } from "../../host/process/libc.ts";
import type { Sink } from "../../host/sink.ts";
import { within } from "../../host/within.ts";

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
const POLL = 40;
/** The pause while the reader keeps up, in ms. */
const SHORT = 2;
/** How long a reader may take nothing after the deploy has ended, in ms. */
const LAST = 2_000;

/**
 * Prints what is appended to `log` from byte `start` on, until `ended` resolves; answers its value. Data that a slow
 * reader does not take stays in the log and is offered again. Only a reader that is gone loses the rest: git with a
 * dead client stops reading, and a full pipe would block for ever.
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
  let hasMore = false;
  // Answers whether the reader took anything.
  const drain = (): boolean => {
    const before = at;
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, at);
      const taken = count === 0 ? 0 : out.print(buffer.subarray(0, count));
      at += taken;
      hasMore = taken < count;
      if (taken === 0) return at > before;
    }
  };
  try {
    let pause = POLL;
    let code: number | null = null;
    while (code === null) {
      code = await within(pause, ended);
      pause = drain() ? SHORT : POLL;
    }
    for (let last = performance.now(); hasMore && performance.now() - last < LAST;) {
      await Bun.sleep(SHORT);
      if (drain()) last = performance.now();
    }
    return code;
  } finally {
    out.end();
    closeSync(file);
  }
}

/** Writes to stdout (1) or stderr (2), to a pipe or a terminal without ever blocking. */
export function printer(to: 1 | 2): Sink {
  const fd = openForPrint(to);
  let isGone = false;
  return {
    print(chunk) {
      const written = isGone ? null : tryWrite(fd, chunk);
      isGone = written === null;
      return written ?? chunk.length;
    },
    end() {
      if (fd !== to) closeSync(fd);
    },
  };
}

// A pipe or terminal that is opened anew has its own flags, so processes that share the old one do not see O_NONBLOCK.
function openForPrint(to: 1 | 2): number {
  try {
    if (!fstatSync(to).isFIFO() && !isTerminal(to)) return to;
    return openSync(`/proc/self/fd/${to}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
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
