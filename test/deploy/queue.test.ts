// Whose turn it is: one at a time, the newest of those that wait, and nobody for ever.
import { beforeEach, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { holder, queueFile } from "../../lib/release/history.ts";
import { tryFlock } from "../../lib/host/process/libc.ts";
import { isLocked, tryLock } from "../../lib/host/lock.ts";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { startTime } from "../../lib/host/process/process.ts";
import { describeHolder, lockNow, takeTurn, waitingFor } from "../../lib/deploy/queue.ts";
import { until } from "../managers/contract.ts";
import { useServer } from "../support/core-server.ts";

useServer();
let app: NamedApp;
let count = 0;
beforeEach(() => {
  app = namedApp(`queue${++count}`);
  mkdirSync(app.places.base, { recursive: true });
});

const never = new AbortController().signal;
const id = (number: number) => `${number}-aaaaaaa`;
const take = (number: number, said: string[] = [], stop = never) =>
  takeTurn(app, { id: id(number), kind: "deploy", by: "somebody" }, (line) => said.push(line), stop);
const restart = (number: number) =>
  takeTurn(app, { id: id(number), kind: "restart", by: "somebody" }, () => undefined, never);
const isWaiting = (number: number) => existsSync(queueFile(app, id(number))) && isLocked(queueFile(app, id(number)));
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("the free lock is taken at once, noted, and leaves no place in the queue", async () => {
  const said: string[] = [];
  const lock = await take(1, said);
  expect(said).toEqual([]);
  expect(holder(app)).toMatchObject({ id: id(1), by: "somebody", pid: process.pid });
  expect(readdirSync(dirname(queueFile(app, id(1))))).toEqual([]);
  lock.release();
  expect(holder(app)).toBeNull();
});

test("of three that wait only the newest runs; the others are told by whom they were superseded", async () => {
  const lock = await take(1);
  const said: string[] = [];
  const second = errorOf(take(2, said));
  await until("the second waits", () => said.length > 0);
  expect(said[0]).toStartWith(`waiting for deploy ${id(1)} by somebody, since `);
  const fourth = take(4);
  await until("the fourth waits", () => isWaiting(4));
  const third = errorOf(take(3));
  for (const late of [await second, await third]) {
    expect(late?.exit).toBe("superseded");
    expect(late?.message).toContain(`superseded by ${id(4)}`);
  }
  expect(holder(app)?.id).toBe(id(1));
  lock.release();
  (await fourth).release();
  expect(readdirSync(dirname(queueFile(app, id(1))))).toEqual([]);
});

test("who is told to stop while it waits leaves the queue", async () => {
  const lock = await take(1);
  const stop = new AbortController();
  const second = errorOf(take(2, [], stop.signal));
  await until("the second waits", () => isWaiting(2));
  stop.abort(new DpError("terminated", "stopped"));
  expect((await second)?.exit).toBe("terminated");
  expect(readdirSync(dirname(queueFile(app, id(1))))).toEqual([]);
  lock.release();
});

test("a place whose deploy died supersedes nobody and is swept away", async () => {
  const dead = queueFile(app, id(9));
  mkdirSync(dirname(dead));
  writeFileSync(dead, "");
  writeFileSync(join(dirname(dead), "not-ours"), "");
  (await take(2)).release();
  expect(readdirSync(dirname(dead))).toEqual(["not-ours"]);
});

test("a place that is taken and not noted yet, which may be a restart's, supersedes nobody", async () => {
  const taken = queueFile(app, id(9));
  mkdirSync(dirname(taken));
  const place = tryLock(taken)!;
  (await take(2)).release();
  place.release();
});

test("the same deploy cannot wait twice", async () => {
  mkdirSync(dirname(queueFile(app, id(2))));
  const place = tryLock(queueFile(app, id(2)))!;
  const error = await errorOf(take(2));
  expect(error?.exit).toBe("locked");
  place.release();
});

test("somebody who only asks about the place does not keep a deploy from it", async () => {
  const mine = queueFile(app, id(2));
  mkdirSync(dirname(mine));
  const asking = openSync(mine, "a+");
  expect(tryFlock(asking, "shared")).toBe(true);
  const taken = take(2);
  setTimeout(() => closeSync(asking), 50);
  (await taken).release();
});

test("a single command is told who holds the app", async () => {
  const lock = await take(1);
  const error = await errorOf(lockNow(app, "dp step read"));
  expect(error?.exit).toBe("locked");
  expect(error?.message).toContain(`deploy ${id(1)} by somebody`);
  expect(error?.hint).toBe(`dp logs ${app.name} --deploy -f`);
  lock.release();
  const now = await lockNow(app, "dp step read");
  expect(holder(app)?.id).toBe("dp step read");
  now.release();
});

test("the time to wait is over: who holds the app is named, keeps it, and nobody waits any more", async () => {
  const lock = await take(1);
  for (const wait of [0, 50]) {
    const error = await errorOf(takeTurn(app, { id: id(2), kind: "deploy", by: "late", wait }, () => undefined, never));
    expect([error?.exit, error?.hint]).toEqual([
      "locked",
      `dp logs ${app.name} --deploy -f, or wait longer: --wait 5m`,
    ]);
    expect(error?.message).toMatch(new RegExp(`^deploy ${id(1)} by somebody, since .*, is running$`));
    expect(holder(app)?.id).toBe(id(1));
  }
  expect(readdirSync(dirname(queueFile(app, id(1))))).toEqual([]);
  lock.release();
  (await takeTurn(app, { id: id(3), kind: "deploy", by: "late", wait: 0 }, () => undefined, never)).release();
});

test("who only asks does not use up the time to wait", async () => {
  (await take(1)).release();
  const asking = openSync(app.places.lock, "r");
  expect(tryFlock(asking, "shared")).toBe(true);
  const taken = takeTurn(app, { id: id(2), kind: "deploy", by: "quick", wait: 0 }, () => undefined, never);
  setTimeout(() => closeSync(asking), 50);
  (await taken).release();
});

test("apps do not wait for each other", async () => {
  const lock = await take(1);
  const first = app;
  app = namedApp(`${first.name}b`);
  mkdirSync(app.places.base, { recursive: true });
  const said: string[] = [];
  const other = await take(1, said);
  expect([said, holder(first)?.id, holder(app)?.id]).toEqual([[], id(1), id(1)]);
  other.release();
  expect([isLocked(first.places.lock), isLocked(app.places.lock)]).toEqual([true, false]);
  lock.release();
});

test("who waits is listed with its process, oldest first", async () => {
  const lock = await take(1);
  const [second, third] = [restart(2), restart(3)];
  await until("both wait", () => waitingFor(app).length === 2);
  const mine = { pid: process.pid, startTime: startTime(process.pid)!, kind: "restart", by: "somebody" };
  expect(waitingFor(app)).toMatchObject([
    { id: id(2), ...mine },
    { id: id(3), ...mine },
  ]);
  lock.release();
  for (const each of [second, third]) void each.then((held) => held.release());
  await Promise.all([second, third]);
  expect(waitingFor(app)).toEqual([]);
});

test("a holder in words", () => {
  const since = "2026-03-01T12:04:11.000Z";
  const held = { by: "root@203.0.113.5", pid: 1, startTime: 1, since };
  expect(describeHolder(null)).toBe("another dp");
  expect(describeHolder({ ...held, id: "42-3f9c2ab" })).toMatch(
    /^deploy 42-3f9c2ab by root@203\.0\.113\.5, since \d\d:\d\d:11$/,
  );
  expect(describeHolder({ ...held, id: "dp reconcile" })).toStartWith("dp reconcile by root@203.0.113.5");
});
