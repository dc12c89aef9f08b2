import { expect, test } from "bun:test";
import { roomNeeded, roomProblem } from "../../lib/release/room.ts";

const MB = 1024 ** 2;
const took = (megabytes: number, files: number | null = 10) => ({ bytes: megabytes * MB, files });

test.each([
  ["nothing is known yet", [], undefined, 100, 2_000],
  ["small ones took little", [took(1), took(2)], undefined, 100, 2_000],
  ["twice the largest of them", [took(1), took(900, 30_000), took(0)], undefined, 1_800, 60_000],
  ["a file system without inodes", [took(80, null)], undefined, 160, 2_000],
  ["the operator's own word, less", [took(900)], 50 * MB, 50, 2_000],
  ["and more", [], 5_000 * MB, 5_000, 2_000],
])("room for a deploy: %s", (_, taken, minFree, megabytes, files) => {
  expect(roomNeeded(taken, minFree)).toEqual({ bytes: megabytes * MB, files });
});

const needed = { bytes: 100 * MB, files: 2_000 };
test.each([
  [{ bytes: 100 * MB, files: 2_000 }, null],
  [{ bytes: 100 * MB, files: null }, null],
  [{ bytes: 99 * MB, files: 9_999 }, "the disk has 99 MB free, but a deploy needs up to 100 MB"],
  [{ bytes: 900 * MB, files: 1_999 }, "the disk has room for 1999 more files, but a deploy needs up to 2000"],
])("%j: %p", (free, problem) => {
  expect(roomProblem(free, needed)).toBe(problem);
});
