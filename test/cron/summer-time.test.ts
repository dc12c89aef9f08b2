// Under timers of systemd a zone with summer time has its jobs when dp's own scheduler has them.
import { describe, expect, test } from "bun:test";
import { scheduleOf } from "../../lib/config/schedule.ts";
import { nextTime } from "../../lib/cron/next.ts";
import { candidateLines, isDue, offsetsOf } from "../../lib/cron/summer-time.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test.each([
  ["Europe/Berlin", [60, 120]],
  ["America/New_York", [-300, -240]],
  ["Australia/Lord_Howe", [630, 660]],
  ["Asia/Kolkata", [330]],
  ["UTC", [0]],
])("%s is ahead of UTC by %j minutes", (zone, offsets) => {
  expect(offsetsOf(zone, Date.parse("2026-11-29T12:00:00Z"))).toEqual(offsets);
});

test("the lines name every moment that may be meant, and few lines are enough", () => {
  expect(candidateLines(scheduleOf("30 2 * * *"), [60, 120])).toEqual(["*-*-* 00,01:30:00 UTC"]);
  expect(candidateLines(scheduleOf("*/30 * * * *"), [60, 120])).toEqual(["*-*-* *:00:00 UTC", "*-*-* *:30:00 UTC"]);
  expect(candidateLines(scheduleOf("0 0 1 * *"), [-300, -240])).toEqual(["*-*-* 04,05:00:00 UTC"]);
});

const analyze = Bun.which("systemd-analyze");
test.skipIf(analyze === null)(
  `systemd reads the lines${analyze === null ? " (skipped: no systemd-analyze here)" : ""}`,
  () => {
    for (const line of candidateLines(scheduleOf("*/7 1-3 * * *"), [60, 120]))
      expect(Bun.spawnSync([analyze!, "calendar", line]).exitCode).toBe(0);
  },
);

/** The hours and minutes of the lines, as minutes of a day. */
function timesOf(lines: readonly string[]): Set<number> {
  const times = lines.flatMap((line) => {
    const [, hours = "", minute] = /^\*-\*-\* ([\d,*]+):(\d\d):00 UTC$/.exec(line)!;
    const each = hours === "*" ? Array.from({ length: 24 }, (_, hour) => hour) : hours.split(",").map(Number);
    return each.map((hour) => hour * 60 + Number(minute));
  });
  return new Set(times);
}

describe.each([
  ["Europe/Berlin", "2027-03-27T12:00:00Z"],
  ["Europe/Berlin", "2026-10-24T12:00:00Z"],
  ["America/New_York", "2027-03-13T12:00:00Z"],
  ["America/New_York", "2026-10-31T12:00:00Z"],
  ["Australia/Lord_Howe", "2027-04-03T00:00:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T00:00:00Z"],
])("%s from %s on", (zone, from) => {
  test.each(["30 2 * * *", "*/30 * * * *", "0 2 * * *", "15 1,2,3 * * sun", "0 0 * * *", "5 4 28 3 *"])(
    "%s runs as often, and at the same times",
    (schedule) => {
      const begin = Date.parse(from);
      const end = begin + 36 * HOUR;
      const at = scheduleOf(schedule);
      const wanted: number[] = [];
      for (let next = nextTime(at, new Date(begin - 1), zone)!; next.getTime() < end; next = nextTime(at, next, zone)!)
        wanted.push(next.getTime());
      const found: number[] = [];
      const times = timesOf(candidateLines(at, offsetsOf(zone, begin)));
      let last: number | null = null;
      for (let now = begin; now < end; now += MINUTE) {
        // It starts a few seconds late.
        if (!times.has((now / MINUTE) % (24 * 60)) || !isDue(at, zone, last, now + 3_000)) continue;
        found.push(now);
        last = now + 3_000;
      }
      expect(found).toEqual(wanted);
    },
  );
});
