// The bench itself: in its quick form it ends well, fills every row, and a few deploys under load lose nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/core-server.ts";
import { until } from "../support/sandbox.ts";
import { valuesOf } from "./cores.ts";
import { host } from "./fronts.ts";
import { hold } from "./idle.ts";
import { PEERS, SECTIONS } from "./main.ts";
import { rss } from "./memory.ts";
import { traffic } from "./peers/traffic.ts";
import { startEcho } from "./proxies/app.ts";
import { memoryOf, timeOf } from "./proxies/usage.ts";
import { machine, markdownLines, rowsOf, tableLines, valueText, type Row } from "./report.ts";
import { median, quantile, section } from "./section.ts";
import { readWrk } from "./wrk.ts";

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
        value === null && !["fronts", "https", "managers"].includes(name) && !/^Flask/.test(row),
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

const REFUSED = ["--only nothing", "--only peers", "--deploys 0", "--deploys many", "--peers --only push", "--cores 1"];

test.each(REFUSED)("%s is refused", (words) => {
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

test("the sections of --peers have names and rows of their own", () => {
  const names = [...SECTIONS, ...PEERS].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { rows: specs } of PEERS) expect(Object.keys(specs).length).toBeGreaterThan(4);
});

test("Markdown has a line for each who, and a column for each what", () => {
  const pair = section({
    name: "pair",
    rows: { "a: time": { unit: "ms" }, "a: failed": { unit: "" }, "b: time": { unit: "ms" } },
    measure: async () => ({ values: {}, notes: [] }),
  });
  expect(markdownLines(rowsOf(pair, { values: { "a: time": 3, "a: failed": 0 }, notes: [] }))).toEqual([
    ...["", "|  | time | failed |", "|---|---|---|", "| a | 3 ms | 0 |", "| b | not measured |  |"],
  ]);
});

const WRK = `  Latency Distribution
     50%  742.00us
     99%    3.81ms
  40318 requests in 1.10s, 4.73MB read
`;

test("what wrk prints is read, and a failed request is an error", () => {
  const read = readWrk(`${WRK}Requests/sec:  36654.36\n`);
  expect(read).toEqual({ requests: 40_318, throughput: 36_654.36, p50: 0.742, p99: 3.81 });
  expect(() => readWrk(`${WRK}  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec: 1\n`)).toThrow();
  expect(() => readWrk("unable to connect to 127.0.0.1:1 Connection refused")).toThrow("Connection refused");
});

test("traffic counts what fails, and finds the first answer that is wanted", async () => {
  const port = await freePort();
  const requests = traffic(port);
  await Bun.sleep(50);
  const found = requests.first((body) => body.includes("new"), 30_000);
  const server = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("the new one") });
  const begun = performance.now();
  expect(await found).toBeGreaterThan(begun);
  const seen = await requests.stop();
  await server.stop(true);
  expect(seen.failed).toBeGreaterThan(0);
  expect(seen.reasons).toEqual({ ECONNREFUSED: seen.failed });
  expect(seen.sent).toBeGreaterThan(seen.failed);
  expect(seen.gap).toBeGreaterThan(0);
});

test("the processor time and the memory of a process are those of its children, too", async () => {
  const child = Bun.spawn(["sh", "-c", "sh -c 'while :; do :; done' & wait"], { detached: true });
  try {
    await until("the child's child has worked", () => timeOf(child.pid) > 0.05);
    expect(memoryOf(child.pid)).toBeGreaterThan(rss(child.pid));
  } finally {
    process.kill(-child.pid, "SIGKILL");
  }
});

test.each(["http", "websocket"] as const)("connections of %s are held and counted", async (kind) => {
  const of = host();
  try {
    const { port } = await startEcho(of);
    const held = await hold(port, kind, 20);
    expect(held.count).toBe(20);
    await held.leave();
  } finally {
    await of.stop();
  }
  const none = await hold(await freePort(), kind, 20);
  expect(none.count).toBe(0);
  await none.leave();
});

test("what more relays can give is limited by what the load needs of the same processors", () => {
  // 30 µs in the relay and 10 µs elsewhere: one relay makes 33,000, two processors 50,000 in all.
  const seen = (throughput: number, relays: number) => [{ throughput, relays, rest: 10 }];
  const values = valuesOf(seen(33_000, 30), seen(48_000, 32), 2, 2);
  expect(values["the most that this machine can show of it"]).toBeCloseTo(1.5);
  expect(values["more relays / one, throughput"]).toBeCloseTo(1.45);
  expect(values["more relays / one, if the load were elsewhere"]).toBeCloseTo(1.875);
  // With processors to spare each relay has one of its own.
  expect(valuesOf(seen(33_000, 30), seen(66_000, 30), 2, 8)["the most that this machine can show of it"]).toBeCloseTo(
    2,
  );
});
