// "did you mean": the nearest of the valid words.

/** The candidate nearest to a mistyped word, or null when none is near. */
export function closest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const steps = distance(word.toLowerCase(), candidate.toLowerCase());
    if (steps < least) [best, least] = [candidate, steps];
  }
  return best;
}

/** `did you mean "healthCheck"?` as the hint of a DpError, or undefined. */
export function didYouMean(word: string, candidates: readonly string[]): { hint?: string } {
  const near = closest(word, candidates);
  return near === null ? {} : { hint: `did you mean ${JSON.stringify(near)}?` };
}

// Counts the edits (insert, delete, replace, swap of neighbours) that turn one word into another.
function distance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        cost = Math.min(cost, before[j - 2]! + 1);
      next.push(cost);
    }
    [before, row] = [row, next];
  }
  return row[to.length]!;
}
