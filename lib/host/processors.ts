// Whether a processor of this machine has nothing to do: work that is not needed yet must not delay what is.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** How many threads run or want to, in the text of /proc/loadavg: `0.20 0.18 0.12 3/80 11206`; null for another text. */
export function runnable(text: string): number | null {
  const found = /^\S+ \S+ \S+ (\d+)\/\d+ /.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/** Whether no more threads than processors want to run, this one among them. False when that is not known. */
export function isAnyIdle(): boolean {
  const running = runnable(readFileSync("/proc/loadavg", "utf8"));
  return running !== null && running <= availableParallelism();
}
