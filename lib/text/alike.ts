// Runs of lines that differ in nothing but the time and the process that wrote them: an app's word about many requests.

/** Fewer such lines in a row than these stay as they are. */
const FEW = 4;

/** `2026-12-01`, `10:04:59,123`, and `[812]` as of gunicorn. */
const VARYING = /\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?|\[\d+\]/g;

/** The lines, of a run of alike ones only the last, below one line that counts the others. Indented lines stay. */
export function foldAlike(lines: readonly string[]): string[] {
  const folded: string[] = [];
  for (let at = 0; at < lines.length;) {
    const [first, like] = [at, lines[at]!.replace(VARYING, "")];
    while (at < lines.length && lines[at]!.replace(VARYING, "") === like) at++;
    const run = lines.slice(first, at);
    const stays = run.length < FEW || /^\s|^$/.test(like);
    folded.push(...(stays ? run : [`... ${run.length - 1} lines like this one:`, run.at(-1)!]));
  }
  return folded;
}
