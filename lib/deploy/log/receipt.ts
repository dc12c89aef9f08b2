// The log of a deploy: one line for each step with its time, commands' output indented, signs of life in between.
import type { Receipt } from "../../pipeline/receipt.ts";
import { flood } from "./flood.ts";

/** How long a step may be quiet before a sign of life, in ms. */
const QUIET = 5_000;

/** How many lines of output are kept: more than an error quotes. */
const KEPT = 100;
const LONGEST = 400;

/** Cuts a line to fit a screen: pip lists every existing version in one line. */
export const cut = (line: string) =>
  line.length > LONGEST ? `${line.slice(0, LONGEST)} … (${line.length - LONGEST} more)` : line;

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** `install        2.1 s  python 3.11, 8 packages`. */
export function stepLine(step: string, ms: number, notes: readonly string[]): string {
  return `${step.padEnd(12)}${seconds(ms).padStart(8)}  ${notes.join("; ")}`.trimEnd();
}

/** What has been printed of the current step. Times are those of performance.now(). */
interface Progress {
  step: string;
  notes: string[];
  /** Its last lines of output. */
  shown: string[];
  /** Its heading is printed already, because output came before its end. */
  isHeaded: boolean;
  /** How many notes its heading had. */
  told: number;
  startedAt: number;
  spokeAt: number;
}

function progressOf(step: string): Progress {
  const now = performance.now();
  return { step, notes: [], shown: [], isHeaded: false, told: 0, startedAt: now, spokeAt: now };
}

type Put = (line: string) => void;

function head(now: Progress, put: Put): void {
  if (now.isHeaded) return;
  if (now.step) put(`${now.step.padEnd(12)}       …  ${now.notes.join("; ")}`.trimEnd());
  now.told = now.notes.length;
  now.isHeaded = true;
}

function signOfLife(now: Progress, put: Put): void {
  if (performance.now() - now.spokeAt < QUIET) return;
  head(now, put);
  put(`${now.step.padEnd(12)}${seconds(performance.now() - now.startedAt).padStart(8)}  … still running`);
}

/**
 * A receipt that hands each line to `write`. `clean` masks secrets in output and errors of commands; dp's own lines
 * never contain any.
 */
export function receipt(write: Put, clean: (line: string) => string = (line) => line): Receipt {
  let now = progressOf("");
  let alive: Timer | undefined;
  const put = (line: string) => {
    now.spokeAt = performance.now();
    write(line);
  };
  const output = flood((line) => put(`  | ${cut(clean(line))}`));
  return {
    say: put,
    info: (text) => void now.notes.push(clean(text)),
    warn: (text) => put(`  ! ${clean(text)}`),
    output(line) {
      head(now, put);
      output.line(line);
      if (now.shown.push(line) > 2 * KEPT) now.shown = now.shown.slice(-KEPT);
    },
    lastOutput: () => now.shown,
    begin(step) {
      now = progressOf(step);
      alive = setInterval(() => signOfLife(now, put), 1000);
      alive.unref();
    },
    end(step, ms, failed = false) {
      clearInterval(alive);
      output.flush((line) => put(`  ${line}`));
      put(stepLine(step, ms, failed ? ["FAILED"] : now.notes.slice(now.told)));
      now.step = "";
    },
  };
}
