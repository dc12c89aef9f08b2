// An app's last hour: requests and failures of each minute, read off its totals, so that no request pays for it.

const MINUTE = 60_000;
const MINUTES = 60;

/** The totals of an app since the relay started. */
interface Totals {
  requests: number;
  failed: number;
}

export interface Hour {
  /** The current minute of the monotonic clock. */
  minute: number;
  /** The totals that have been counted. */
  counted: Totals;
  /** [requests, failed] of each minute, oldest first; the last one is not over yet. */
  minutes: [number, number][];
}

const emptyMinute = (): [number, number] => [0, 0];
const minuteOf = (now: number) => Math.floor(now / MINUTE);

export const makeHour = (now: number): Hour => ({
  minute: minuteOf(now),
  counted: { requests: 0, failed: 0 },
  minutes: Array.from({ length: MINUTES }, emptyMinute),
});

/** Adds what has come since the last call to the current minute; `now` is in ms of a monotonic clock. */
export function countHour(hour: Hour, { requests, failed }: Totals, now: number): void {
  const minute = minuteOf(now);
  for (let over = Math.min(minute - hour.minute, MINUTES); over > 0; over--) {
    hour.minutes.shift();
    hour.minutes.push(emptyMinute());
  }
  hour.minute = minute;
  const last = hour.minutes[MINUTES - 1]!;
  last[0] += requests - hour.counted.requests;
  last[1] += failed - hour.counted.failed;
  hour.counted.requests = requests;
  hour.counted.failed = failed;
}
