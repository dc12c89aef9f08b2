// Runs of lines that differ in their numbers alone, such as times and pids: an app's word about each of many requests.

/** Fewer such lines in a row than these stay as they are. */
const FEW = 4;

/** The lines, of a run of alike ones only the last, below one line that counts the others. */
export function foldAlike(lines: readonly string[]): string[] {
  const folded: string[] = [];
  for (let at = 0; at < lines.length;) {
    const [first, like] = [at, shapeOf(lines[at]!)];
    while (at < lines.length && shapeOf(lines[at]!) === like) at++;
    const run = lines.slice(first, at);
    folded.push(
      ...(run.length < FEW || like === "" ? run : [`... ${run.length - 1} lines like this one:`, run.at(-1)!]),
    );
  }
  return folded;
}

const shapeOf = (line: string) => line.trim().replace(/\d+/g, "0");
