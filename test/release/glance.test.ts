// Old runs at a glance: the index tells what the run files tell, whatever becomes of it, and saves reading them.
import { beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { tryLock } from "../../lib/host/lock.ts";
import { load, save, type Run } from "../../lib/pipeline/run-file.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { glancesOf, keepIndex } from "../../lib/release/glance.ts";
import { goodReleases, runFile, runsOf } from "../../lib/release/history.ts";
import { rollbackTarget } from "../../lib/release/rollback-target.ts";
import { liveRunOf } from "../../lib/release/settings.ts";
import { point } from "../../lib/host/link.ts";
import { useServer } from "../support/core-server.ts";

useServer();
let app: NamedApp;
let count = 0;
beforeEach(() => {
  app = namedApp(`glance${++count}`);
  for (const folder of [app.places.runs, app.places.releases]) mkdirSync(folder, { recursive: true });
});

const id = (number: number) => `${number}-aaaaaaa`;
const index = () => join(app.places.base, "history.json");
const MANY = 1_000;
const STATES = ["good", "failed", "superseded"] as const;

/** A run file as a deploy leaves it; of every third the deploy failed, or was superseded. */
function write(
  number: number,
  state: (typeof STATES)[number] | null = STATES[number % 3 === 1 ? 0 : number % 3]!,
): void {
  const facts = {
    kind: "deploy",
    sha: "a".repeat(40),
    release: join(app.places.releases, id(number)),
    config: { text: "x".repeat(3_000) },
  };
  const journal = {
    read: { state: "ok", startedAt: "" },
    swap: { state: state === "good" ? "ok" : "undone", startedAt: "" },
  };
  const result = state && { state, code: 0, endedAt: "2026-03-01T12:00:00Z" };
  const run = { version: 1, facts, journal, ...(result ? { result } : {}) };
  writeFileSync(runFile(app, id(number)), JSON.stringify(run, null, 2), { mode: 0o600 });
}

/** What this process has read so far, in bytes. */
const bytesRead = () => Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);

/** Another process, which has read nothing yet, takes a glance: its answer, and how much it read for it. */
async function fresh() {
  const code = `
    const { namedApp } = await import(${JSON.stringify(join(import.meta.dir, "../../lib/release/named-app.ts"))});
    const { glancesOf } = await import(${JSON.stringify(join(import.meta.dir, "../../lib/release/glance.ts"))});
    const read = () => Number(/^rchar: (\\d+)$/m.exec(require("node:fs").readFileSync("/proc/self/io", "utf8"))[1]);
    const before = read();
    const glances = await glancesOf(namedApp(process.argv[1]));
    console.log(JSON.stringify({ glances, bytes: read() - before }));`;
  const child = Bun.spawn([process.execPath, "-e", code, app.name], { env: { ...process.env }, stderr: "inherit" });
  return JSON.parse(await child.stdout.text()) as { glances: Awaited<ReturnType<typeof glancesOf>>; bytes: number };
}

test(`${MANY} runs: the index is read, and not the run files`, async () => {
  for (let number = 1; number <= MANY; number++) write(number);
  const without = await fresh();
  expect(without.glances.map((glance) => glance.id)).toEqual(Array.from({ length: MANY }, (_, at) => id(at + 1)));
  expect(without.glances.slice(0, 3)).toMatchObject([
    { state: "good", release: id(1), swap: "ok", hasBegun: true, isOver: true },
    { state: "superseded", swap: "undone" },
    { state: "good" },
  ]);
  await keepIndex(app, await runsOf(app));
  const withIt = await fresh();
  expect(withIt.glances).toEqual(without.glances);
  expect(withIt.bytes).toBeLessThan(without.bytes / 10);

  // What a rollback asks for is told by the runs whose files are there.
  for (const number of [400, 997, 1_000]) mkdirSync(join(app.places.releases, id(number)));
  await point(app.places.current, join(app.places.releases, id(1_000)));
  const before = bytesRead();
  expect((await goodReleases(app)).map((past) => past.id)).toEqual([id(400), id(997), id(1_000)]);
  expect(await rollbackTarget(app, id(1_000))).toBe(id(997));
  expect(await liveRunOf(app, id(997))).toBe(id(997));
  expect(bytesRead() - before).toBeLessThan(without.bytes / 5);
}, 60_000);

test.each<[string, (text: string) => string | null]>([
  ["deleted", () => null],
  ["cut in half", (text) => text.slice(0, text.length / 2)],
  ["empty", () => ""],
  ["something else", () => '{"1-aaaaaaa": 5}'],
  [
    "full of lies about files that have changed",
    (text) => text.replaceAll("good", "failed").replaceAll(/"\d+ /g, '"0 '),
  ],
])("an index that is %s changes no answer", async (_, damage) => {
  for (let number = 1; number <= 40; number++) write(number);
  const before = await glancesOf(app);
  await keepIndex(app, await runsOf(app));
  const damaged = damage(readFileSync(index(), "utf8"));
  if (damaged === null) rmSync(index());
  else writeFileSync(index(), damaged);
  expect(await glancesOf(app)).toEqual(before);
  await keepIndex(app, await runsOf(app));
  expect(await glancesOf(app)).toEqual(before);
});

test("a run that changed since, one that is new, one that is gone and one that is damaged are told as they are", async () => {
  for (let number = 1; number <= 40; number++) write(number);
  await keepIndex(app, await runsOf(app));
  const change = async (number: number, to: (run: Run) => void) => {
    const run = await load(runFile(app, id(number)));
    to(run);
    await save(runFile(app, id(number)), run);
  };
  await change(2, (run) => void delete run.result);
  await change(4, (run) => void (run.result!.state = "failed"));
  write(41, null);
  rmSync(runFile(app, id(6)));
  writeFileSync(runFile(app, id(8)), "{", { mode: 0o600 });
  const lines: string[] = [];
  const told = new Map((await glancesOf(app, (line) => lines.push(line))).map((glance) => [glance.id, glance.state]));
  expect([2, 4, 6, 8, 40, 41].map((number) => told.get(id(number)))).toEqual([
    ...(["unfinished", "failed", undefined, undefined, "good", "unfinished"] as const),
  ]);
  expect(lines).toEqual([`${runFile(app, id(8))}: not JSON`]);
  const lock = tryLock(app.places.lock)!;
  lock.note({ id: id(10) });
  expect((await glancesOf(app)).find((glance) => glance.id === id(10))?.state).toBe("running");
  lock.release();
});

test("the index is written again only when many runs are missing in it", async () => {
  for (let number = 1; number <= 40; number++) write(number);
  await keepIndex(app, await runsOf(app));
  const first = readFileSync(index(), "utf8");
  for (let number = 41; number <= 60; number++) write(number);
  await keepIndex(app, await runsOf(app));
  expect(readFileSync(index(), "utf8")).toBe(first);
  write(61);
  await keepIndex(app, await runsOf(app));
  expect(Object.keys(JSON.parse(readFileSync(index(), "utf8")))).toHaveLength(61);
});
