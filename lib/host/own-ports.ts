// The ports that belong to one app: spans of the range for instances, in a file of its base folder.
import { join } from "node:path";
import { readText, writeFileAtomic } from "./files.ts";

/** Consecutive ports, both ends included. */
export interface Span {
  first: number;
  last: number;
}

/** The range of instances, below the kernel's for outgoing connections (32768 to 60999), which could take any of them. */
export const RANGE: Span = { first: 20_000, last: 29_999 };

const fileOf = (base: string) => join(base, "ports");

export const isIn = ({ first, last }: Span, port: number): boolean => port >= first && port <= last;

/** The spans of the app with this base folder, its block first; empty before its first deploy. */
export async function ownPorts(base: string): Promise<Span[]> {
  const words = ((await readText(fileOf(base))) ?? "").match(/\d+(?:-\d+)?/g) ?? [];
  return words.map((word) => {
    const [first, last = first] = word.split("-").map(Number);
    return { first: first!, last: last! };
  });
}

/** `20008-20015`, or `20008`. */
export const spanText = ({ first, last }: Span): string => (first === last ? `${first}` : `${first}-${last}`);

/** Records the spans, if they are others than before. */
export async function keepOwnPorts(base: string, spans: readonly Span[]): Promise<void> {
  const text = `${spans.map(spanText).join(" ")}\n`;
  if ((await readText(fileOf(base))) !== text) await writeFileAtomic(fileOf(base), text, 0o600);
}
