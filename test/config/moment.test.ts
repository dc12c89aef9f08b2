import { expect, test } from "bun:test";
import { momentOf } from "../../lib/config/moment.ts";

const now = new Date(2026, 2, 1, 12, 0, 0).getTime();

test.each([
  ["10m", now - 600_000],
  ["2h", now - 7_200_000],
  ["3d", now - 3 * 86_400_000],
  ["0", Number.NaN],
  ["11:30", new Date(2026, 2, 1, 11, 30).getTime()],
  ["9:05:30", new Date(2026, 2, 1, 9, 5, 30).getTime()],
  ["2026-02-28", new Date(2026, 1, 28).getTime()],
  ["2026-02-28 10:00", new Date(2026, 1, 28, 10).getTime()],
  ["2026-02-28T10:00:00Z", Date.UTC(2026, 1, 28, 10)],
  ["yesterday", Number.NaN],
  ["2026-13-01", Number.NaN],
  ["", Number.NaN],
])("%j", (text, expected) => {
  if (Number.isNaN(expected)) expect(() => momentOf(text, now)).toThrow("is not a time");
  else expect(momentOf(text, now)).toBe(expected);
});
