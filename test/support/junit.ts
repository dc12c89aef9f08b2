// The junit report of `bun test`: what each file came to.

/** What tests came to. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const number = (head: string, name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);

/** File, as it was given or relative to the folder of the run -> its counts. Throws when the text is no report. */
export function countsByFile(report: string): Map<string, Counts> {
  if (!/<testsuites /.test(report)) throw new Error("the junit report has no <testsuites>");
  const files = new Map<string, Counts>();
  // The suites of files are two blanks in; describe blocks are suites, too, and deeper.
  for (const [head] of report.matchAll(/^ {2}<testsuite [^>]*>/gm)) {
    const [tests, failed, skipped] = [number(head, "tests"), number(head, "failures"), number(head, "skipped")];
    const file = / file="([^"]*)"/.exec(head)?.[1] ?? "";
    files.set(file, { passed: Math.max(0, tests - failed - skipped), failed, skipped });
  }
  return files;
}

/** All of them together. */
export function sum(all: Iterable<Counts>): Counts {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of all) {
    for (const name of ["passed", "failed", "skipped"] as const) total[name] += counts[name];
  }
  return total;
}

/** The last line of a run. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
