// Cron lines: what they mean, by the clock of dp and by that of systemd, and what is wrong with bad ones.
import { describe, expect, test } from "bun:test";
import { dueAt, keepTime } from "../../lib/cron/scheduler.ts";
import { nextTime } from "../../lib/cron/next.ts";
import { calendarLines, parseSchedule, scheduleOf } from "../../lib/config/schedule.ts";

test.each([
  ["*/5 * * * *", ["*-*-* *:00,05,10,15,20,25,30,35,40,45,50,55:00"]],
  ["0 3 * * mon-fri", ["Mon,Tue,Wed,Thu,Fri *-*-* 03:00:00"]],
  ["5-20/5,50 8-10 * JAN,mar *", ["*-01,03-* 08,09,10:05,10,15,20,50:00"]],
  // Either is enough, when both are restricted ...
  ["30 2 1,15 * 5", ["*-*-01,15 02:30:00", "Fri *-*-* 02:30:00"]],
  // ... and both are needed, when one begins with a star.
  ["0 0 */10 * 1", ["Mon *-*-01,11,21,31 00:00:00"]],
  ["0 0 * * 7", ["Sun *-*-* 00:00:00"]],
  ["0 0 * * fri-sun", ["Sun,Fri,Sat *-*-* 00:00:00"]],
  ["@hourly", ["*-*-* *:00:00"]],
  ["@daily", ["*-*-* 00:00:00"]],
  ["@midnight", ["*-*-* 00:00:00"]],
  ["@weekly", ["Sun *-*-* 00:00:00"]],
  ["@monthly", ["*-*-01 00:00:00"]],
  ["@yearly", ["*-01-01 00:00:00"]],
  ["@annually", ["*-01-01 00:00:00"]],
])("%s", (text, lines) => expect(calendarLines(scheduleOf(text))).toEqual(lines));

test.each([
  ["", "needs five fields, minute hour day month weekday, and has 0"],
  ["* * * *", "needs five fields, minute hour day month weekday, and has 4"],
  ["* * * * * *", "needs five fields, minute hour day month weekday, and has 6"],
  ["60 * * * *", 'minute "60": must be from 0 to 59, not "60"'],
  ["* 24 * * *", 'hour "24": must be from 0 to 23, not "24"'],
  ["* * 0 * *", 'day of the month "0": must be from 1 to 31, not "0"'],
  ["* * * 13 *", 'month "13": must be from 1 to 12 or a name such as feb, not "13"'],
  ["* * * * 8", 'day of the week "8": must be from 0 to 7 or a name such as mon, not "8"'],
  ["* * * * monday", 'day of the week "monday": must be from 0 to 7 or a name such as mon, not "monday"'],
  ["* 22-2 * * *", 'hour "22-2": the range 22-2 is backwards, write 22-23,0-2'],
  ["5/15 * * * *", 'minute "5/15": a step needs a range, write 5-59/15'],
  ["*/0 * * * *", 'minute "*/0": the step must be a whole number from 1, not "0"'],
  ["1,,2 * * * *", 'minute "1,,2": must be from 0 to 59, not ""'],
  ["-1 * * * *", 'minute "-1": must be from 0 to 59, not ""'],
  ["1-2-3 * * * *", 'minute "1-2-3": "1-2-3" is not a range'],
  ["*\n* * * *", "needs five fields, minute hour day month weekday, and has 4"],
  ["*/5\n * * * *", 'minute "*/5\\n": must be from 0 to 59, not ""'],
  ["$(id) * * * *", 'minute "$(id)": must be from 0 to 59, not "$(id)"'],
  ["0 0 31 2 *", "never runs: those months have no such day"],
  ["0 0 31 4,6,9,11 *", "never runs: those months have no such day"],
  ["@reboot", 'unknown "@reboot", a command that starts with the app is a process'],
  ["@often", 'unknown "@often", there is @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually'],
])("%j is refused", (text, what) => expect(parseSchedule(text)).toBe(what));

/** The next times of a schedule, in UTC, without seconds. */
function times(text: string, after: string, count: number, zone = "UTC"): string[] {
  const found: string[] = [];
  let at = new Date(after);
  for (let index = 0; index < count; index++) {
    at = nextTime(scheduleOf(text), at, zone)!;
    found.push(at.toISOString().slice(0, 16));
  }
  return found;
}

describe("when it comes next", () => {
  test.each([
    ["*/20 * * * *", "2026-03-01T10:00:00Z", "UTC", ["2026-03-01T10:20", "2026-03-01T10:40", "2026-03-01T11:00"]],
    ["30 2 1,15 * 5", "2026-05-01T12:00:00Z", "UTC", ["2026-05-08T02:30", "2026-05-15T02:30", "2026-05-22T02:30"]],
    ["0 0 29 2 *", "2026-03-01T00:00:00Z", "UTC", ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["0 9 * * *", "2026-01-01T00:00:00Z", "America/New_York", ["2026-01-01T14:00", "2026-01-02T14:00"]],
    ["15 0 * * *", "2026-01-01T00:00:00Z", "Asia/Kolkata", ["2026-01-01T18:45", "2026-01-02T18:45"]],
    // Berlin, summer begins: there is no 02:30 that day.
    ["30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin", ["2026-03-29T01:30", "2026-03-30T00:30"]],
    // Summer ends: there are two, and one run is meant; what runs in every hour runs in both.
    ["30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", ["2026-10-25T00:30", "2026-10-26T01:30"]],
    [
      "30 * * * *",
      "2026-10-25T00:00:00Z",
      "Europe/Berlin",
      ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"],
    ],
  ] as const)("%s after %s in %s", (text, after, zone, expected) =>
    expect(times(text, after, expected.length, zone)).toEqual([...expected]),
  );

  const analyze = Bun.which("systemd-analyze");
  test.skipIf(analyze === null)(
    `systemd means the same${analyze === null ? " (skipped: no systemd-analyze here)" : ""}`,
    () => {
      const lines = [
        "*/7 * * * *",
        "5 4 * * sun",
        "0 12 1-7 * 1",
        "0 0 */2 * 3",
        "10 8-18/3 * jun-aug mon,wed,fri",
        "@monthly",
      ];
      for (const text of lines) {
        const expected = times(text, "2026-11-20T10:01:00Z", 8);
        const shown = calendarLines(scheduleOf(text), "UTC").flatMap((line) => {
          const argv = [analyze!, "calendar", "--base-time=2026-11-20 10:01:00 UTC", "--iterations=8", line];
          const { stdout, exitCode } = Bun.spawnSync(argv, { env: { TZ: "UTC", LANG: "C" } });
          expect(exitCode).toBe(0);
          const found = stdout
            .toString()
            .matchAll(/(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\S+) (\d\d:\d\d):00 UTC/g);
          return [...found].map(([, day, time]) => `${day}T${time}`);
        });
        expect([...new Set(shown)].sort().slice(0, 8)).toEqual(expected);
      }
    },
    30_000,
  );
});

describe("the scheduler", () => {
  const entry = (name: string, schedule: string, timeZone?: string) => ({
    ...{ name, schedule, command: "true" },
    ...(timeZone === undefined ? {} : { timeZone }),
  });

  test("knows what is due in a minute", () => {
    const entries = [
      entry("all", "* * * * *"),
      entry("noon", "0 12 * * *", "UTC"),
      entry("berlin", "0 12 * * *", "Europe/Berlin"),
    ];
    expect(dueAt(entries, Date.parse("2026-07-01T12:00:00Z"))).toEqual(["all", "noon"]);
    expect(dueAt(entries, Date.parse("2026-07-01T10:00:00Z"))).toEqual(["all", "berlin"]);
  });

  /** What was fired by a clock that shows these times when it is looked at after each sleep. */
  async function fired(start: string, jumps: readonly string[], schedule = "* * * * *"): Promise<string[]> {
    let now = Date.parse(start);
    const left = [...jumps];
    const seen: string[] = [];
    await keepTime({
      now: () => now,
      sleep: async () => void (now = Date.parse(left.shift()!)),
      entries: async () => [entry("job", schedule, "UTC")],
      fire: (name) => void seen.push(`${name} ${new Date(now).toISOString().slice(11, 16)}`),
      isOver: () => left.length === 0,
    });
    return seen;
  }
  const at = (time: string) => `2026-07-01T${time}Z`;

  test("fires once in each minute, however often it looks", async () => {
    const looks = ["12:00:30", "12:00:59.9", "12:01:00", "12:01:01", "12:01:59", "12:02:00.1", "12:02:05", "12:02:06"];
    expect(await fired(at("12:00:01"), looks.map(at))).toEqual(["job 12:01", "job 12:02"]);
  });

  test("does not fire at once when it is started within a due minute", async () => {
    expect(await fired(at("12:00:01"), ["12:00:20", "12:00:40"].map(at), "0 12 * * *")).toEqual([]);
  });

  test("is late by a minute or two, and makes up for it; what a long sleep missed is missed", async () => {
    expect(await fired(at("12:00:01"), ["12:02:10", "12:02:20"].map(at))).toEqual(["job 12:02", "job 12:02"]);
    expect(await fired(at("12:00:01"), ["15:00:10", "15:00:20"].map(at))).toEqual(["job 15:00"]);
  });

  test("goes on from where the clock is set to, back as well", async () => {
    expect(await fired(at("12:00:01"), ["09:30:10", "09:30:50", "09:31:00", "09:31:10"].map(at))).toEqual([
      "job 09:31",
    ]);
  });
});
