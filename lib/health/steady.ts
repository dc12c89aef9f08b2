// A repeated answer: an app that has booted, and refuses.
import type { Answer } from "./probe.ts";

/** How long an app must repeat the same answer, in ms, until that is reported, and until the wait ends. */
const TOLD = 1_000;
const CERTAIN = 5_000;
/** How often it must have given that answer at least. */
const LEAST = 5;

/** Whether an answer may be an app's final one: a redirect or a refusal. While it boots, an app may well answer 503. */
export const isWord = (status: number | null): status is number => status !== null && status >= 300 && status < 500;

/** Whether an answer is worth a line while it is waited on: an app that boots answers 503, or a proxy before it 502 or 504. */
const isTelling = (status: number | null) => isWord(status) || status === 500;

/** The verdict on an answer: go on, report it while waiting, or stop waiting. */
export type Verdict = "wait" | "tell" | "end";

/** Judges one answer after the other, each with its time in ms of a monotonic clock. "tell" comes once. */
export function watchSteady(): (answer: Answer, now: number) => Verdict {
  let last: number | null = null;
  let since = 0;
  let count = 0;
  let isTold = false;
  return ({ status }, now) => {
    if (status !== last) [last, since, count] = [status, now, 0];
    count += 1;
    if (!isTelling(status)) return "wait";
    if (isWord(status) && now - since >= CERTAIN && count >= LEAST) return "end";
    if (isTold || now - since < TOLD) return "wait";
    isTold = true;
    return "tell";
  };
}
