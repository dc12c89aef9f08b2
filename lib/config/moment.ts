// Moments as people type them: 10m ago, today at 12:04, 2026-03-01 12:04.
import { DpError } from "../errors.ts";
import { milliseconds } from "./duration.ts";

const DAY = 24 * 60 * 60_000;
const CLOCK = /^(\d\d?):(\d\d)(?::(\d\d))?$/;
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** A moment in ms since 1970: a duration before `now`, a time of today, or a date, with a time or from its start. Throws DpError "usage". */
export function momentOf(text: string, now = Date.now()): number {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const ago = days === undefined ? milliseconds(text) : Number(days) * DAY;
  if (ago !== null) return now - ago;
  const [clock, hours, minutes, seconds = "0"] = CLOCK.exec(text) ?? [];
  if (clock !== undefined) return new Date(now).setHours(Number(hours), Number(minutes), Number(seconds), 0);
  // A date without a time would be parsed as UTC, all other forms as local time.
  const at = DATE.test(text) ? new Date(text.length === 10 ? `${text}T00:00` : text).getTime() : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new DpError("usage", `${JSON.stringify(text)} is not a time`, {
    hint: "10m, 2h, 3d, 12:04, 2026-03-01, 2026-03-01T12:04",
  });
}
