// Time zones whose clock changes, under timers of systemd: it leaves a lost hour out, and pauses in a doubled one.
// There the timer elapses at each moment that may be meant, in UTC, and what it starts asks whether one is.
import type { Schedule } from "../config/schedule.ts";
import { nextTime, offsetsBy } from "./next.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** How late a job may be started, in ms: a machine may be busy. Less than any change of a clock. */
const LATE = 10 * MINUTE;

/** The zone of this server, as Intl names it. */
const ownZone = () => new Intl.DateTimeFormat("en-US").resolvedOptions().timeZone;

/** The minutes that a zone's clock, or this server's, is ahead of UTC within a year; one where it never changes. */
export function offsetsOf(zone = ownZone(), now = Date.now()): number[] {
  const offsetAt = offsetsBy(zone);
  const days = Array.from({ length: 367 }, (_, day) => offsetAt(now + day * DAY) / MINUTE);
  return [...new Set(days)].sort((a, b) => a - b);
}

/** The lines of OnCalendar= in UTC at which the schedule may be due by a clock with one of these offsets. */
export function candidateLines({ hours, minutes }: Schedule, offsets: readonly number[]): string[] {
  const times = new Set<string>();
  for (const hour of hours)
    for (const minute of minutes)
      for (const offset of offsets) {
        const shown = (hour * 60 + minute - offset + 2 * 24 * 60) % (24 * 60);
        times.add([Math.floor(shown / 60), shown % 60].map((number) => String(number).padStart(2, "0")).join(":"));
      }
  return [...Map.groupBy([...times].sort(), (time) => time.slice(3))].map(([minute, at]) => {
    const every = at.length === 24 ? "*" : at.map((time) => time.slice(0, 2)).join(",");
    return `*-*-* ${every}:${minute}:00 UTC`;
  });
}

/** Whether the schedule came within the last minutes, and later than `last`, when it was run last, in ms. */
export function isDue(schedule: Schedule, zone: string | undefined, last: number | null, now: number): boolean {
  let latest: number | null = null;
  for (let at = now - LATE; ; at = latest) {
    const next = nextTime(schedule, new Date(at), zone)?.getTime();
    if (next === undefined || next > now) break;
    latest = next;
  }
  return latest !== null && (last === null || last < latest);
}
