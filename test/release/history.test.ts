// What was deployed, as the run files, the links and the locks tell it.
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { save, type Run } from "../../lib/pipeline/run-file.ts";
import { goodReleases, holder, queueFile, runFile, releaseBefore, runIds, runsOf } from "../../lib/release/history.ts";
import { point } from "../../lib/host/link.ts";
import { tryLock } from "../../lib/host/lock.ts";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { idOf } from "../../lib/text/ids.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { useServer } from "../support/core-server.ts";

useServer();
let app: NamedApp;
let count = 0;
beforeEach(() => {
  app = namedApp(`past${++count}`);
  for (const folder of [app.places.runs, app.places.releases]) mkdirSync(folder, { recursive: true });
});

const id = (number: number) => `${number}-aaaaaaa`;
const release = (number: number) => join(app.places.releases, id(number));

/** A run with that result, and its tree unless told otherwise. */
async function made(number: number, state?: "good" | "failed" | "superseded", kind = "deploy", hasTree = true) {
  const result = state && { state, code: 0, endedAt: "2026-03-01T12:00:00Z" };
  const run: Run = { version: 1, facts: { kind }, journal: {}, ...(result ? { result } : {}) };
  await save(runFile(app, id(number)), run);
  if (hasTree) mkdirSync(release(number), { recursive: true });
}

test("runs are ordered by number, and nothing but runs counts", async () => {
  for (const number of [10, 9, 100, 1]) await made(number, "good");
  for (const name of ["x.json", "2-aaaaaaa", "3-aaaaaaa.json.tmp.12", "04-aaaaaaa.json", "5-AAAAAAA.json"])
    writeFileSync(join(app.places.runs, name), "{}");
  expect(await runIds(app)).toEqual([1, 9, 10, 100].map(id));
  expect(await runIds(namedApp("nobody"))).toEqual([]);
});

describe("a run is", () => {
  const state = async () => (await runsOf(app)).map((run) => run.state);

  test.each(["good", "failed", "superseded"] as const)("%s when its result says so", async (result) => {
    await made(1, result);
    expect(await state()).toEqual([result]);
  });

  test("unfinished without a result", async () => {
    await made(1);
    expect(await state()).toEqual(["unfinished"]);
  });

  test("running while it holds the lock, even with a result of before", async () => {
    await made(1, "failed");
    await made(2);
    const lock = tryLock(app.places.lock)!;
    lock.note({ id: id(1) });
    expect(await state()).toEqual(["running", "unfinished"]);
    expect(holder(app)?.id).toBe(id(1));
    lock.release();
    expect(await state()).toEqual(["failed", "unfinished"]);
    expect(holder(app)).toBeNull();
  });

  test("waiting while it holds its place in the queue", async () => {
    await made(2);
    mkdirSync(dirname(queueFile(app, id(2))));
    const place = tryLock(queueFile(app, id(2)))!;
    expect(await state()).toEqual(["waiting"]);
    place.release();
    expect(await state()).toEqual(["unfinished"]);
  });

  test("passed over when its file is damaged, and that is said", async () => {
    await made(1, "good");
    writeFileSync(runFile(app, id(2)), "{", { mode: 0o600 });
    await made(3, "good");
    const damaged: string[] = [];
    expect((await runsOf(app, (message) => damaged.push(message))).map((run) => run.id)).toEqual([id(1), id(3)]);
    expect(damaged).toEqual([`${runFile(app, id(2))}: not JSON`]);
  });
});

test("what was read before is read again once it is another", async () => {
  await made(1, "failed");
  await made(2, "good");
  const states = async () => (await runsOf(app)).map(({ state }) => state);
  expect([await states(), await states()]).toEqual([
    ["failed", "good"],
    ["failed", "good"],
  ]);
  await made(1, "good");
  expect(await states()).toEqual(["good", "good"]);
  chmodSync(runFile(app, id(2)), 0o666);
  const damaged: string[] = [];
  expect((await runsOf(app, (message) => damaged.push(message))).length).toBe(1);
  expect(damaged.join()).toContain("must belong to you, and nobody else may write it");
  rmSync(runFile(app, id(1)));
  expect(await runsOf(app)).toEqual([]);
});

test("only good deploys whose tree is there can be gone back to", async () => {
  await made(1, "good");
  await made(2, "failed");
  await made(3, "good", "deploy", false);
  await made(4, "good", "rollback");
  await made(5);
  await made(6, "superseded");
  await made(7, "good");
  expect((await goodReleases(app)).map((run) => run.id)).toEqual([id(1), id(7)]);
  expect(await releaseBefore(app, id(7))).toBe(id(1));
  expect(await releaseBefore(app, id(6))).toBe(id(1));
  expect(await releaseBefore(app, id(1))).toBeNull();
  expect(await releaseBefore(app, null)).toBeNull();
});

test("live and previous are what the links name, if it is a release", async () => {
  expect([await app.live(), await app.previous()]).toEqual([null, null]);
  await point(app.places.current, release(2));
  await point(app.places.previous, release(1));
  expect([await app.live(), await app.previous()]).toEqual([id(2), id(1)]);
  await point(app.places.current, join(app.places.base, "elsewhere"));
  expect(await app.live()).toBeNull();
});

test.each([
  [null, null],
  ["/base/releases/42-3f9c2ab", "42-3f9c2ab"],
  ["/base/releases/42-3f9c2ab/", "42-3f9c2ab"],
  ["/base/releases/0-3f9c2ab", null],
  ["/base/releases", null],
])("the release of %j is %j", (folder, expected) => expect(idOf(folder)).toBe(expected));
