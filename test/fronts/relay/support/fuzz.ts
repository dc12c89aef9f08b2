// Streams of requests with a few bytes wrong, from a seed.
import { corpus } from "./corpus.ts";

/** FUZZ_SEED, or another one in every run; it stands in the names of the tests. */
export const freshSeed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** A generator of numbers below `limit` that a seed decides (mulberry32). */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

const sound = corpus.filter(({ status }) => status === 200).map(({ bytes }) => bytes);
const DANGEROUS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  "0",
  "f",
  "chunked",
  "Content-Length: 1\r\n",
  "\r\n\r\n",
  "\xff",
];

/** A stream of one to four requests with up to three bytes changed, added or left out. */
export function mutated(below: (limit: number) => number): string {
  let text = Array.from({ length: 1 + below(4) }, () => sound[below(sound.length)]!).join("");
  for (let i = below(4); i > 0; i--) {
    const at = below(text.length);
    const change = DANGEROUS[below(DANGEROUS.length)]!;
    const skip = below(3);
    text = text.slice(0, at) + (below(3) === 0 ? "" : change) + text.slice(at + skip);
  }
  return text;
}
