// Time zones with summer time under systemd timers: systemd skips a lost hour, and pauses in a repeated one. The timer
// therefore elapses in UTC at every possible moment, and the started command asks whether the job is due.
import type { Schedule } from "../config/schedule.ts";
import { nextTime, offsetsBy } from "./next.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** How late a job may start, in ms, on a busy machine. It must be less than any change of a clock. */
const LATE = 10 * MINUTE;

/** The zone of this server, as Intl names it. */
const ownZone = () => new Intl.DateTimeFormat("en-US").resolvedOptions().timeZone;

/**
 * The minutes by which a zone's clock, or this server's, is ahead of UTC within a year; one value if it never changes.
 */
export function offsetsOf(zone = ownZone(), now = Date.now()): number[] {
  const offsetAt = offsetsBy(zone);
  const days = Array.from({ length: 367 }, (_, day) => offsetAt(now + day * DAY) / MINUTE);
  return [...new Set(days)].sort((a, b) => a - b);
}

/** The lines of OnCalendar= in UTC at which the schedule may be due, for a clock with any of these offsets. */
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

/** Whether the schedule was due within the last minutes, and after its last run at `last`, in ms. */
export function isDue(schedule: Schedule, zone: string | undefined, last: number | null, now: number): boolean {
  let latest: number | null = null;
  for (let at = now - LATE; ; at = latest) {
    const next = nextTime(schedule, new Date(at), zone)?.getTime();
    if (next === undefined || next > now) break;
    latest = next;
  }
  return latest !== null && (last === null || last < latest);
}
