// An answer that does not change: an app that has booted, and says no.
import type { Answer } from "./probe.ts";

/** How long an app must go on with the same answer, in ms, until that is worth a word, and until it is the end. */
const TOLD = 1_000;
const CERTAIN = 5_000;
/** How often it must have given that answer at least. */
const LEAST = 5;

/** Whether an answer may be an app's last word: a redirect or a refusal. While it boots, an app may well answer 503. */
export const isWord = (status: number | null): status is number => status !== null && status >= 300 && status < 500;

/** What an answer is worth: nothing yet, a word while it is waited on, or the end of the waiting. */
export type Verdict = "wait" | "tell" | "end";

/** Judges answer after answer, each at its time in ms of a clock that only goes forward. "tell" comes once. */
export function watchSteady(): (answer: Answer, now: number) => Verdict {
  let last: number | null = null;
  let since = 0;
  let count = 0;
  let isTold = false;
  return ({ status }, now) => {
    if (status !== last) [last, since, count] = [status, now, 0];
    count += 1;
    if (!isWord(status)) return "wait";
    if (now - since >= CERTAIN && count >= LEAST) return "end";
    if (isTold || now - since < TOLD) return "wait";
    isTold = true;
    return "tell";
  };
}
