// How a process ended, as a value and in words.
import { constants } from "node:os";

/** How a process ended: by itself, with a code, or by a signal. */
export type Ended = { code: number } | { signal: string };

/** "exited with 3", "killed by SIGKILL". */
export const howEnded = (ended: Ended): string =>
  "signal" in ended ? `killed by ${ended.signal}` : `exited with ${ended.code}`;

/** The exit code, or 128 and the signal's number, as a shell has it; null for a signal that has no name here. */
export function exitCodeOf(ended: Ended): number | null {
  if ("code" in ended) return ended.code;
  const number = constants.signals[ended.signal as NodeJS.Signals] as number | undefined;
  return number === undefined ? null : 128 + number;
}

/** The name of a signal, "SIGKILL" of 9; null: there is none for the number. */
export const signalNamed = (number: number): string | null =>
  Object.entries(constants.signals).find(([, own]) => own === number)?.[0] ?? null;
