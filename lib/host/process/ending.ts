// How a process ended, as a value and in words.
import { constants } from "node:os";

/** How a process ended: it exited with a code, or a signal killed it. */
export type Ended = { code: number } | { signal: string };

/** "exited with code 3", "killed by SIGKILL". */
export const howEnded = (ended: Ended): string =>
  "signal" in ended ? `killed by ${ended.signal}` : `exited with code ${ended.code}`;

/** The exit code, or 128 + the signal's number as in a shell; null for a signal that has no name here. */
export function exitCodeOf(ended: Ended): number | null {
  if ("code" in ended) return ended.code;
  const number = constants.signals[ended.signal as NodeJS.Signals] as number | undefined;
  return number === undefined ? null : 128 + number;
}

/** The name of a signal, "SIGKILL" for 9; null: no signal has this number. */
export const signalNamed = (number: number): string | null =>
  Object.entries(constants.signals).find(([, own]) => own === number)?.[0] ?? null;
