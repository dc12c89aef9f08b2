// The system calls that Bun lacks: pipes that are pipes, locks that are locks.
import { expect, test } from "bun:test";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipe, tryFlock } from "../../../lib/host/process/libc.ts";

test("a pipe is a pipe, carries bytes, and ends when its write end is closed", () => {
  const [read, write] = pipe();
  expect([read, write].map((fd) => fstatSync(fd).isFIFO())).toEqual([true, true]);
  writeSync(write, "hello");
  closeSync(write);
  const buffer = Buffer.alloc(16);
  expect(readSync(read, buffer)).toBe(5);
  expect(readSync(read, buffer)).toBe(0);
  closeSync(read);
});

test("a child does not get the ends that it is not given", () => {
  const [read, write] = pipe();
  const list = Bun.spawnSync(["ls", "-l", "/proc/self/fd"], { env: {}, stdin: "ignore" }).stdout.toString();
  const { ino } = fstatSync(read);
  expect(list).not.toContain(`pipe:[${ino}]`);
  for (const fd of [read, write]) closeSync(fd);
});

test("an exclusive lock shuts out all, shared ones shut out only exclusive ones", () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-libc-"));
  const [one, two, three] = [1, 2, 3].map(() => openSync(join(folder, "file"), "a+")) as [number, number, number];
  expect(tryFlock(one)).toBe(true);
  expect([tryFlock(two), tryFlock(two, "shared")]).toEqual([false, false]);
  closeSync(one);
  expect([tryFlock(two, "shared"), tryFlock(three, "shared"), tryFlock(three)]).toEqual([true, true, false]);
  for (const fd of [two, three]) closeSync(fd);
  rmSync(folder, { recursive: true });
});
