// The bench itself: in its quick form it ends well, fills every row, and a few deploys under load lose nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECTIONS } from "./main.ts";
import { machine, rowsOf, tableLines, valueText, type Row } from "./report.ts";
import { median, quantile, section } from "./section.ts";

const bench = [process.execPath, join(import.meta.dir, "main.ts")];

function run(...words: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...bench, ...words], { stdin: "ignore" });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

describe("a quick run", () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-bench-test-"));
  let outcome: ReturnType<typeof run>;
  let rows: Row[] = [];
  beforeAll(() => {
    const file = join(folder, "bench.json");
    outcome = run("--quick", "--deploys", "3", "--json", file);
    if (outcome.code === 0) rows = (JSON.parse(readFileSync(file, "utf8")) as { rows: Row[] }).rows;
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const valueOf = (name: string) => rows.find((row) => row.section === "deploys" && row.name === name)?.value;

  test("ends well", () => {
    expect({ code: outcome.code, err: outcome.code === 0 ? "" : outcome.err }).toEqual({ code: 0, err: "" });
  });

  test.each(SECTIONS.map(({ name, rows: specs }) => [name, Object.keys(specs)] as const))(
    "has every row of %s, in the table and in the JSON",
    (name, expected) => {
      expect(rows.filter((row) => row.section === name).map((row) => row.name)).toEqual(expected);
      for (const row of expected) expect(outcome.out).toContain(row);
    },
  );

  test("measures everything that needs neither the network nor another program", () => {
    const left = rows.filter(
      ({ section: name, name: row, value }) =>
        value === null && !["fronts", "https"].includes(name) && !/^Flask/.test(row),
    );
    expect(left).toEqual([]);
  });

  test("three deploys under load lose no request", () => {
    expect(valueOf("deploys")).toBe(3);
    expect(valueOf("deploys that failed")).toBe(0);
    expect(valueOf("requests that failed")).toBe(0);
    expect(valueOf("dp's own probes that failed")).toBe(0);
    expect(valueOf("requests")).toBeGreaterThan(100);
    expect(valueOf("websocket messages")).toBeGreaterThan(0);
  });
});

test.each(["--only nothing", "--deploys 0", "--deploys many"])("%s is refused", (words) => {
  const { code, err } = run(...words.split(" "));
  expect(code).toBe(2);
  expect(err).toContain("usage: bun run bench");
});

const some = section({
  name: "some",
  rows: { time: { unit: "ms", below: 20 }, ratio: { unit: "", least: 0.667 }, count: { unit: "" } },
  measure: async () => ({ values: {}, notes: [] }),
});

test.each([
  [{ time: 19.9, ratio: 0.667, count: 1 }, [true, true, null]],
  [{ time: 20, ratio: 0.66, count: 1 }, [false, false, null]],
  [{ time: Number.NaN }, [null, null, null]],
])("targets: %j", (values, expected) => {
  expect(rowsOf(some, { values, notes: [] }).map(({ isMet }) => isMet)).toEqual(expected);
});

test("a value that belongs to no row is an error", () => {
  expect(() => rowsOf(some, { values: { other: 1 }, notes: [] })).toThrow("some has no row other");
});

test("the table says what was missed, and what was not measured", () => {
  const text = tableLines(rowsOf(some, { values: { time: 30 }, notes: [] })).join("\n");
  expect(text).toMatch(/time\s+30 ms\s+< 20 ms\s+MISSED/);
  expect(text).toMatch(/ratio\s+not measured/);
});

test.each([
  [1234.5, "ms", "1235 ms"],
  [12.34, "ms", "12.3 ms"],
  [1.234, "", "1.23"],
  [3, "", "3"],
  [null, "ms", "not measured"],
])("%p %s is shown as %s", (value, unit, text) => expect(valueText({ value, unit })).toBe(text));

test("median and quantile", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(quantile([], 0.5)).toBeNaN();
});

test("the machine is described", () => {
  expect(machine()).toMatchObject({ bun: Bun.version, git: expect.stringMatching(/^\d+\.\d+/) });
});
