// Times and amounts as a fleet shows them: short, with the unit in words.

/** `46 s`, `4 m`, `2 h`, `41 d`: how long ago `then` was, both in seconds. */
export function ago(then: number, now: number): string {
  const seconds = Math.max(0, now - then);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

const GB = 1024 ** 3;
const MB = 1024 ** 2;

/** `27 MB`, `1.4 GB`; empty: not known. */
export function bytes(count: number | null): string {
  if (count === null) return "";
  return count < GB ? `${Math.round(count / MB)} MB` : `${(count / GB).toFixed(1)} GB`;
}

/** `2.4/4 GB`, `29/80 GB`. */
export function part({ used, total }: { used: number; total: number }, between = "/"): string {
  const short = (count: number) =>
    count / GB < 10 ? (count / GB).toFixed(1).replace(/\.0$/, "") : String(Math.round(count / GB));
  return `${short(used)}${between}${short(total)} GB`;
}

/** Requests a second in the last whole minute: `–`, `0.3`, `47`; empty: not counted. */
export function rate(minutes: readonly (readonly [number, number])[] | null): string {
  if (minutes === null) return "";
  const each = (minutes.at(-2)?.[0] ?? 0) / 60;
  if (each < 0.05) return "–";
  return each < 10 ? each.toFixed(1) : String(Math.round(each));
}

/** `1 server`, `3 servers`. */
export const many = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** A sentence with only the last name of each path: who reads a report may have no business with a server's folders. */
export const withoutPaths = (sentence: string) =>
  sentence.replace(/(?<![\w:/.])\/(?:[^\s/:;,"')]+\/)+([^\s/:;,"')]+)/g, "$1");
