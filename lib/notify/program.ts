// A program that takes a message on stdin, as dp-notify: no shell, with a time limit.
import { closeSync, writeSync } from "node:fs";
import type { Attempt, Line } from "../contracts/notifier.ts";
import { DpError } from "../errors.ts";
import { pipe } from "../host/process/libc.ts";
import { run } from "../host/run.ts";
import { SYSTEM_PATH } from "../paths.ts";

/** A pipe holds so many bytes without a reader; a message is far shorter. */
const MOST = 64 * 1024;

/** Runs it with `input` on stdin; what it prints is thrown away. */
export async function feed(argv: readonly string[], input: string, { limit, user }: Line): Promise<Attempt> {
  const [read, write] = pipe();
  try {
    writeSync(write, Buffer.from(input).subarray(0, MOST));
    closeSync(write);
    const env = { PATH: SYSTEM_PATH, HOME: "/", LANG: "C.UTF-8" };
    const ended = await run(argv, { stdin: read, user, env, timeout: limit, check: false, quiet: true, keep: 1 });
    if (ended.timedOut) return { end: "again", said: "timeout" };
    return { end: ended.code === 0 ? "sent" : "again", said: `exit code ${ended.code}` };
  } catch (error) {
    if (error instanceof DpError) return { end: "never", said: "the program is missing, or not executable" };
    throw error;
  } finally {
    closeSync(read);
  }
}
