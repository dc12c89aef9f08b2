// Folds the progress of a package manager into one line: repeated lines, one for each of hundreds of packages, are
// counted.
import { plainText } from "./text.ts";

/** The words under which lines are counted, and the patterns of these lines. Lines under "" are dropped and not counted. */
export type Progress = Readonly<Record<string, RegExp>>;

/** The name of a group in a pattern whose words are counted: `Successfully installed a-1 b-2`. */
const WORDS = "words";

/** Whether a line is progress, and of which kind. A line about an error never is. */
function kindOf(line: string, progress: Progress): { what: string; count: number } | null {
  const text = plainText(line);
  if (/\berr(?:or|!)/i.test(text)) return null;
  for (const [what, pattern] of Object.entries(progress)) {
    const found = pattern.exec(text);
    if (found) return { what, count: found.groups?.[WORDS]?.trim().split(/\s+/).length ?? 1 };
  }
  return null;
}

/** The lines that are not progress. */
export const withoutProgress = (lines: readonly string[], progress: Progress): string[] =>
  lines.filter((line) => kindOf(line, progress) === null);

/** Passes lines on to `write`, except progress, which `end` sums up in one line: `pip: 12 collected, 11 downloaded`. */
export function fold(name: string, progress: Progress, write: (line: string) => void) {
  const counts = new Map<string, number>();
  return {
    line(line: string): void {
      const kind = kindOf(line, progress);
      if (kind === null) write(line);
      else if (kind.what !== "") counts.set(kind.what, (counts.get(kind.what) ?? 0) + kind.count);
    },
    end(): void {
      const said = [...counts].map(([what, count]) => `${count} ${what}`);
      if (said.length > 0) write(`${name}: ${said.join(", ")}`);
    },
  };
}
