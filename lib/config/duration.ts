// Durations as people write them: 500ms, 5s, 2m, 1h.

/** The form of a duration: a whole number and its unit. */
export const DURATION = /^(0|[1-9][0-9]{0,8})(ms|s|m|h)$/;

const UNIT: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The milliseconds of a duration such as "5s", or null for another text. */
export function milliseconds(text: string): number | null {
  const [, count, unit] = DURATION.exec(text) ?? [];
  return count === undefined || unit === undefined ? null : Number(count) * UNIT[unit]!;
}

/** The milliseconds of a waiting time: a duration, or plain seconds; null for another text. */
export function waitTime(text: string): number | null {
  return milliseconds(/^\d+$/.test(text) ? `${text}s` : text);
}

/** Milliseconds in the largest unit that leaves a whole number: 90000 is "90s". */
export function durationText(ms: number): string {
  for (const unit of ["h", "m", "s"]) {
    if (ms > 0 && ms % UNIT[unit]! === 0) return `${ms / UNIT[unit]!}${unit}`;
  }
  return `${ms}ms`;
}
