// One holder at a time, between processes, until it lets go or dies.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { tryFlock } from "../../lib/host/process/libc.ts";
import { holderOf, isLocked, tryLock, waitForLock } from "../../lib/host/lock.ts";
import { isAlive } from "../../lib/host/process/process.ts";
import { run } from "../../lib/host/run.ts";
import { until } from "../managers/contract.ts";
import { holdElsewhere } from "../support/core-lock.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-lock-"));
  path = join(folder, "lock");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("another process has it until it is killed", async () => {
  const other = await holdElsewhere(path, { id: "other" });
  expect(tryLock(path)).toBeNull();
  expect(isLocked(path)).toBe(true);
  expect(holderOf(path)).toEqual({ id: "other" });
  await other.kill();
  expect(isLocked(path)).toBe(false);
  expect(holderOf(path)).toBeNull();
  const mine = tryLock(path);
  expect(mine).not.toBeNull();
  mine!.release();
});

test("a child of the holder does not have it when the holder is gone", async () => {
  const other = await holdElsewhere(path, { id: "other" }, true);
  try {
    await other.kill();
    // The kernel lets a parent go on a moment before its child's exec has closed what it must not have.
    await until("nobody has it", () => !isLocked(path));
    expect(isAlive(other.daemon)).toBe(true);
  } finally {
    process.kill(other.daemon, "SIGKILL");
  }
});

test("a daemon that a step left behind does not have it either", async () => {
  const mine = tryLock(path)!;
  const { text } = await run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]);
  try {
    mine.release();
    await until("nobody has it", () => !isLocked(path));
    expect(isAlive(Number(text))).toBe(true);
  } finally {
    process.kill(Number(text), "SIGKILL");
  }
});

test("the file stays when the lock is given back, and the same holder can take it again", () => {
  tryLock(path)!.release();
  expect(existsSync(path)).toBe(true);
  const again = tryLock(path)!;
  expect(tryLock(path)).toBeNull();
  again.release();
});

test("asking neither takes the lock nor wipes the note, nor makes the file", () => {
  expect(isLocked(path)).toBe(false);
  expect(existsSync(path)).toBe(false);
  const mine = tryLock(path)!;
  expect(holderOf(path)).toBeNull();
  mine.note({ id: "a long note, and then a short one" });
  mine.note({ id: "me" });
  for (let times = 0; times < 100; times++) expect(holderOf(path)).toEqual({ id: "me" });
  // Only blanks are left of the longer one.
  expect(readFileSync(path, "utf8").trimEnd()).toBe('{"id":"me"}');
  mine.release();
  for (let times = 0; times < 100; times++) expect(isLocked(path)).toBe(false);
  tryLock(path)!.release();
});

test("the note of the last holder is gone before the next one's is there", () => {
  const last = tryLock(path)!;
  last.note({ id: "ä", by: "the last holder" });
  last.release();
  const next = tryLock(path)!;
  expect(holderOf(path)).toBeNull();
  next.note({ id: "é" });
  expect(holderOf(path)).toEqual({ id: "é" });
  next.release();
});

test("two that ask at the same moment do not take each other for the holder", () => {
  tryLock(path)!.release();
  const asking = openSync(path, "r");
  expect(tryFlock(asking, "shared")).toBe(true);
  expect(isLocked(path)).toBe(false);
  closeSync(asking);
});

test("a new holder's note is not the old one's", () => {
  writeFileSync(path, '{"id":"old"}');
  const mine = tryLock(path)!;
  expect(holderOf(path)).toBeNull();
  mine.release();
});

test("a link is no lock file", () => {
  symlinkSync(join(folder, "elsewhere"), path);
  expect(() => tryLock(path)).toThrow("ELOOP");
  expect(existsSync(join(folder, "elsewhere"))).toBe(false);
});

test("who waits gets it when the holder dies, and is told once that it waits", async () => {
  const other = await holdElsewhere(path);
  let [turns, told] = [0, 0];
  const waiting = waitForLock(
    path,
    () => void turns++,
    () => void told++,
  );
  while (turns < 3) await Bun.sleep(10);
  await other.kill();
  (await waiting).release();
  expect(told).toBe(1);
});

test("who waits may give up, and then has nothing", async () => {
  const other = await holdElsewhere(path);
  let turns = 0;
  const turn = () => {
    if (++turns === 2) throw new DpError("locked", "enough");
  };
  await expect(waitForLock(path, turn, () => undefined)).rejects.toThrow("enough");
  await other.kill();
  expect(isLocked(path)).toBe(false);
});
