import { expect, test } from "bun:test";
import { availableFrom, availableMemory, type Group } from "../../lib/host/memory.ts";

const MB = 1024 ** 2;
const MEMINFO = "MemTotal:        2048000 kB\nMemFree:          100000 kB\nMemAvailable:    1024000 kB\n";
const group = (limit: string, used: number, stat = ""): Group => ({ limit, used: String(used), stat });

test.each<[string, (Group | null)[], number]>([
  ["a machine of its own", [null, null], 1024000 * 1024],
  ["a container without a limit", [group("max", 500 * MB)], 1024000 * 1024],
  ["a container with less", [group(String(512 * MB), 112 * MB)], 400 * MB],
  [
    "pages of files are given back",
    [group(String(512 * MB), 500 * MB, `anon 1\ninactive_file ${100 * MB}\n`)],
    112 * MB,
  ],
  ["those of version 1, too", [null, group(String(512 * MB), 500 * MB, `total_inactive_file ${MB}`)], 13 * MB],
  ["a limit beyond the machine", [group("9223372036854771712", 1)], 1024000 * 1024],
  ["a container that is full", [group(String(64 * MB), 65 * MB)], 0],
])("memory of %s", (_, groups, bytes) => {
  expect(availableFrom(MEMINFO, groups)).toBe(bytes);
});

test("a kernel that does not say is no error", () => {
  expect(availableFrom("", [])).toBeNull();
});

test("this machine has some", () => {
  expect(availableMemory()!).toBeGreaterThan(MB);
});
