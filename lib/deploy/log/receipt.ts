// What a deploy says: one line a step with its time, children's output indented, signs of life between.
import type { Receipt } from "../../pipeline/receipt.ts";
import { flood } from "./flood.ts";

/** How long a step may be quiet before a sign of life, in ms. */
const QUIET = 5_000;

/** How many lines of output are remembered: more than an error quotes. */
const KEPT = 100;
const LONGEST = 400;

/** A line that fits a screen: pip lists every version there is in one. */
export const cut = (line: string) =>
  line.length > LONGEST ? `${line.slice(0, LONGEST)} … (${line.length - LONGEST} more)` : line;

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** `install        2.1 s  python 3.11, 8 packages`. */
export function stepLine(step: string, ms: number, notes: readonly string[]): string {
  return `${step.padEnd(12)}${seconds(ms).padStart(8)}  ${notes.join("; ")}`.trimEnd();
}

/**
 * A receipt that hands each line to `write`. `clean` masks secrets in what children and errors say; dp's own
 * lines never hold any.
 */
export function receipt(write: (line: string) => void, clean: (line: string) => string = (line) => line): Receipt {
  let current = "";
  let notes: string[] = [];
  let shown: string[] = [];
  let started = 0;
  let spoke = 0;
  let alive: Timer | undefined;
  let headed = false;
  let told = 0;
  const put = (line: string) => {
    spoke = performance.now();
    write(line);
  };
  const head = () => {
    if (!headed && current) put(`${current.padEnd(12)}       …  ${notes.join("; ")}`.trimEnd());
    if (!headed) told = notes.length;
    headed = true;
  };
  const signOfLife = () => {
    if (performance.now() - spoke < QUIET) return;
    head();
    put(`${current.padEnd(12)}${seconds(performance.now() - started).padStart(8)}  … still at it`);
  };
  const output = flood((line) => put(`  | ${cut(clean(line))}`));
  return {
    say: put,
    info: (text) => void notes.push(clean(text)),
    warn: (text) => put(`  ! ${clean(text)}`),
    output(line) {
      head();
      output.line(line);
      if (shown.push(line) > 2 * KEPT) shown = shown.slice(-KEPT);
    },
    lastOutput: () => shown,
    begin(step) {
      [current, notes, shown, headed, told] = [step, [], [], false, 0];
      started = spoke = performance.now();
      alive = setInterval(signOfLife, 1000);
      alive.unref();
    },
    end(step, ms, failed = false) {
      clearInterval(alive);
      output.flush((line) => put(`  ${line}`));
      put(stepLine(step, ms, failed ? ["FAILED"] : notes.slice(told)));
      current = "";
    },
  };
}
