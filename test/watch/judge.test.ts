// Histories of looks and what they tell: one letter a look, by a clock that the test moves.
import { describe, expect, test } from "bun:test";
import { round, type Found, type News } from "../../lib/watch/round.ts";
import type { Sight } from "../../lib/watch/sight.ts";
import type { Watch } from "../../lib/watch/state.ts";

const STEP = 35_000;
const START = Date.UTC(2026, 2, 1, 12);

const KINDS: Record<string, Sight["kind"]> = {
  G: "good",
  B: "bad",
  X: "bad", // its manager has given up
  D: "deploying",
  L: "deploying", // a lock that is held now
  S: "stopped",
  E: "empty",
  U: "unknown",
};

const sightOf = (letter: string): Sight => ({
  kind: KINDS[letter]!,
  isGivenUp: letter === "X",
  live: "1-aaaaaaa",
  health: letter === "G" ? "200" : "GET /health 502",
  ms: 3,
  detail: "",
  restarts: 0,
  failed: letter === "G" || letter === "B" ? {} : null,
  isHeld: letter === "L",
});

interface Options extends Partial<Pick<Found, "remind" | "disk" | "isQuiet">> {
  down?: number;
  /** Looks, by number, before which so much more time passes, in ms. */
  gaps?: Record<number, number>;
  /** Looks at which all is muted. */
  muted?: readonly number[];
  /** Looks from which on the machine has booted anew. */
  boots?: readonly number[];
}

/** Lets a row of looks happen for each app; answers what was told, as `LOOK what app`. */
function play(rows: Readonly<Record<string, string>>, options: Options = {}): string[] {
  const told: string[] = [];
  let before: Watch | null = null;
  let now = START;
  const looks = Math.max(...Object.values(rows).map((row) => row.length));
  for (let at = 0; at < looks; at++) {
    now += STEP + (options.gaps?.[at] ?? 0);
    const isQuiet = options.muted?.includes(at) === true;
    const boot = String((options.boots ?? []).filter((from) => at >= from).length);
    const sights = Object.fromEntries(Object.entries(rows).map(([app, row]) => [app, sightOf(row[at] ?? "G")]));
    const terms = () => ({ down: options.down, isQuiet });
    const { remind, disk = "enough" } = options;
    const found: Found = { now, took: 1, boot, sights, disk, remind, terms, isQuiet };
    const { after, news } = round(before, found);
    // Over JSON, as it is kept between two looks.
    before = JSON.parse(JSON.stringify(after)) as Watch;
    told.push(...news.map((one) => `${at} ${wordOf(one)}`));
  }
  return told;
}

function wordOf(news: News): string {
  if (news.about === "boot") return `boot${news.down.length > 0 ? ` without ${news.down.join()}` : ""}`;
  if (news.about === "disk") return news.isLow ? "disk low" : "disk over";
  return `${news.tell.what} ${news.app}`;
}

const one = (row: string, options?: Options) =>
  play({ a: row }, options).map((line) => line.replace(/^(\d+ \w+) a$/, "$1"));

const HISTORIES: [what: string, row: string, told: string[], options?: Options][] = [
  ["all is well", "GGGGGGGG", []],
  ["one bad look is nothing", "GGBGGGBGG", []],
  ["two bad looks are down, two good ones up", "GBBGG", ["2 down", "4 up"]],
  ["one good look does not make it up", "GBBGBBGG", ["2 down", "7 up"]],
  ["down is told once", "GBBBBBBBB", ["2 down"]],
  ["bad from the first look on", "BB", ["1 down"]],
  ["its manager has given up: at once", "GX", ["1 down"]],
  ["given up after one bad look", "GBX", ["2 down"]],
  ["200 and 503 in turn never make two", "GBGBGBGBGBGB", []],
  ["a deploy is not asked", "GDDDDG", []],
  ["bad while it is deployed", "GDDBBD", ["4 down"]],
  ["a bad look before a deploy does not count after it", "GBDB", []],
  ["the look after a held lock is left out", "GLBGG", []],
  ["two bad ones after that count", "GLBBB", ["4 down"]],
  ["stopped on purpose is not down", "GSSSSS", []],
  ["down, then stopped on purpose, then started", "GBBSSSGG", ["2 down", "7 up"]],
  ["no release yet", "EEEE", []],
  ["a first release", "EEDGG", []],
  ["unknown for a minute is nothing", "GUUG", []],
  ["unknown for five minutes is told once", "GUUUUUUUUUUUUG", ["10 unasked"]],
  ["unknown in between does not make two bad looks", "GBUBG", []],
  ["down: 5m waits for so long", "GBBBBBBBBBBBB", ["10 down"], { down: 300_000 }],
  ["down: 5m, and good again in time", "GBBBBBGG", [], { down: 300_000 }],
  ["down: 0s tells the first bad look", "GBGG", ["1 down", "3 up"], { down: 0 }],
  ["down: 5m, but given up", "GBX", ["2 down"], { down: 300_000 }],
  ["flapping: the third change in ten minutes", "GBBGGBBGGBB", ["2 down", "4 up", "6 flaps"]],
  [
    "flapping, then quiet for ten minutes, and up",
    `GBBGGBBGG${"G".repeat(20)}`,
    ["2 down", "4 up", "6 flaps", "26 up"],
  ],
  ["flapping, then quiet, and down", `GBBGGBB${"B".repeat(22)}`, ["2 down", "4 up", "6 flaps", "24 down"]],
  ["slow changes are no flapping", `GBB${"G".repeat(20)}BB${"G".repeat(20)}`, ["2 down", "4 up", "24 down", "26 up"]],
  ["reminders", "GBBBBBBBBGG", ["2 down", "4 reminder", "6 reminder", "8 reminder", "10 up"], { remind: 2 * STEP }],
  [
    "a reminder that is due after a gap",
    "GBBBB",
    ["2 down", "4 reminder"],
    { remind: 6 * 3_600_000, gaps: { 3: 5.9 * 3_600_000, 4: 600_000 } },
  ],
  ["a gap of an hour: counting starts anew", "GBBGG", ["4 up"].slice(1), { gaps: { 2: 3_600_000 } }],
  ["down before the gap, up after it", "GBBGG", ["2 down", "4 up"], { gaps: { 3: 3_600_000 } }],
  ["the clock goes back an hour", "GBBB", ["3 down"], { gaps: { 2: -3_600_000 } }],
  ["muted: nothing, and what is still so afterwards", "GBBBBB", ["4 down"], { muted: [1, 2, 3] }],
  ["muted: down and up again", "GBBGGG", [], { muted: [1, 2, 3, 4] }],
  ["down, muted, up, and told afterwards", "GBBGGG", ["2 down", "5 up"], { muted: [3, 4] }],
  ["a boot, and all is well", "GGG", ["1 boot"], { boots: [1] }],
  ["a boot without it", "GGBBGG", ["3 boot without a", "5 up"], { boots: [2] }],
  ["a boot with something late", "GGBGG", ["3 boot"], { boots: [2] }],
  ["a boot during which it was given up", "GXXX", ["2 boot without a"], { boots: [1] }],
  ["down before the boot and up after it", "GBBGGG", ["2 down", "3 boot", "4 up"], { boots: [3] }],
];

test("there are thirty histories at least", () => {
  expect(HISTORIES.length).toBeGreaterThanOrEqual(30);
});

test.each(HISTORIES.map(([what, ...history]) => [what, history] as const))("%s", (_, [row, told, options]) => {
  expect(one(row, options)).toEqual(told);
});

describe("several apps", () => {
  test("each is judged by itself", () => {
    expect(play({ a: "GBBGG", b: "GGBBB", c: "GGGGG" })).toEqual(["2 down a", "3 down b", "4 up a"]);
  });

  test("nine at once", () => {
    const rows = Object.fromEntries([..."abcdefghi"].map((app) => [app, "GBB"]));
    expect(play(rows).length).toBe(9);
  });

  test("an app that was destroyed is forgotten", () => {
    expect(play({ a: "GBB", b: "GGGGG" })).toContain("2 down a");
  });
});

describe("the disk", () => {
  const found = (disk: Found["disk"], isQuiet = false): Found => ({
    ...{ now: START, took: 1, boot: "0", sights: {}, disk, isQuiet },
    terms: () => ({ isQuiet }),
  });

  /** What a row of looks at the disk tells. */
  function disks(...row: (Found["disk"] | "muted")[]): string[] {
    let before: Watch | null = null;
    return row.flatMap((disk) => {
      const { after, news } = round(before, disk === "muted" ? found("low", true) : found(disk));
      before = after;
      return news.map(wordOf);
    });
  }

  test("low once, and over again at twice that", () => {
    expect(disks("enough", "low", "low", "between", "low", "between", "enough", "low")).toEqual([
      ...["disk low", "disk over", "disk low"],
    ]);
  });

  test("between is nothing, before and after a mute", () => {
    expect(disks("between", "muted", "between", "low")).toEqual(["disk low"]);
    expect(disks("muted", "enough")).toEqual([]);
  });
});

describe("processes other than web", () => {
  const failing = (failed: Record<string, string>): Sight => ({ ...sightOf("G"), failed });

  /** What a row of looks tells, each with the processes that have failed for good. */
  function processes(...row: Record<string, string>[]): string[] {
    let before: Watch | null = null;
    return row.flatMap((failed, at) => {
      const sights = { a: failing(failed) };
      const terms = () => ({ isQuiet: false });
      const { after, news } = round(before, {
        ...{ now: START + at * STEP, took: 1, boot: "0", sights, disk: "enough", isQuiet: false },
        terms,
      });
      before = after;
      return news.map((each) =>
        each.about === "app" && "process" in each.tell ? `${each.tell.what} ${each.tell.process}` : "?",
      );
    });
  }

  test("each is told once, and again when it runs", () => {
    const gone = { "worker.1": "exited with code 1" };
    expect(processes({}, gone, gone, {}, {}, { ...gone, "worker.2": "" })).toEqual([
      ...["failed worker.1", "runs worker.1", "failed worker.1", "failed worker.2"],
    ]);
  });
});
