// The next time of a schedule, by the clock of a time zone with its changes between summer and winter time.
import { hasDay, type Schedule } from "../config/schedule.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** The 29th of February can be eight years away, around a year such as 2100. */
const YEARS = 8 * 366;

/** A function that answers how many milliseconds a zone's clock is ahead of UTC. */
export function offsetsBy(zone: string): (ms: number) => number {
  const format = formatOf(zone);
  return (ms) => offsetBy(ms, format);
}

function offsetBy(ms: number, format: Intl.DateTimeFormat): number {
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute) - Math.floor(ms / MINUTE) * MINUTE;
}

const formatOf = (zone: string | undefined) =>
  new Intl.DateTimeFormat("en-US", {
    ...(zone === undefined ? {} : { timeZone: zone }),
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    hourCycle: "h23",
    calendar: "gregory",
    numberingSystem: "latn",
  });

/**
 * The moments, in ms, at which a zone's clock shows a time (given as if it were UTC), each once. A time that the change
 * to summer time skips comes an hour later.
 */
function momentsOf(shown: number, format: Intl.DateTimeFormat): number[] {
  const [before, after] = [offsetBy(shown - DAY, format), offsetBy(shown + DAY, format)];
  const candidates = [...new Set([shown - before, shown - after])];
  const real = candidates.filter((moment) => moment + offsetBy(moment, format) === shown);
  return real.length > 0 ? real.sort((a, b) => a - b) : [shown - before];
}

/**
 * The first moment of a schedule after `after`, by the clock of `zone` or of this server; null: none within eight
 * years.
 */
export function nextTime(schedule: Schedule, after: Date, zone?: string): Date | null {
  const format = formatOf(zone);
  const now = after.getTime();
  const today = Math.floor((now + offsetBy(now, format)) / DAY) * DAY;
  // The hour that repeats in autumn counts twice for a schedule of every hour, and once for one with fixed hours.
  const isEveryHour = schedule.hours.length === 24;
  for (let day = today - DAY; day < today + YEARS * DAY; day += DAY) {
    const date = new Date(day);
    if (!hasDay(schedule, date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCDay())) continue;
    const [before, later] = [offsetBy(day - DAY, format), offsetBy(day + 2 * DAY, format)];
    let first: number | null = null;
    for (const hour of schedule.hours) {
      for (const minute of schedule.minutes) {
        const shown = day + (hour * 60 + minute) * MINUTE;
        // On all but two days of the year the clock does not change, so one offset suffices.
        const moments = before === later ? [shown - before] : momentsOf(shown, format);
        for (const moment of moments.slice(0, isEveryHour ? 2 : 1))
          if (moment > now && (first === null || moment < first)) first = moment;
        if (before === later && first !== null) return new Date(first);
      }
    }
    if (first !== null) return new Date(first);
  }
  return null;
}
