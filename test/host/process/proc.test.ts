// Reading /proc: lines as they are, no more than is wanted, and nothing where there is nothing.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { allPids, listProc, readProc, readProcLines } from "../../../lib/host/process/proc.ts";

function linesOf(path: string, most = Infinity): string[] {
  const lines: string[] = [];
  readProcLines(path, (line) => lines.push(line) < most);
  return lines;
}

/** Bytes that this process has read so far. */
const bytesRead = () => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "latin1"))![1]);

describe("lines", () => {
  // Files of the kernel that nothing changes meanwhile, longer than what is read at once.
  test.each(["filesystems", "devices", "cmdline", "cgroups"])("of %s are all there, and whole", (path) => {
    expect(linesOf(path)).toEqual(readFileSync(`/proc/${path}`, "latin1").split("\n").slice(0, -1));
  });

  test("no more is read than is wanted", () => {
    const text = readFileSync("/proc/kallsyms", "latin1");
    expect(text.length).toBeGreaterThan(64 * 1024);
    const before = bytesRead();
    expect(linesOf("kallsyms", 2)).toEqual(text.split("\n", 2));
    expect(bytesRead() - before).toBeLessThan(16 * 1024);
  });

  test.each(["no-such-file", "2147483647/maps", "self"])("of %s: none", (path) => {
    expect(linesOf(path)).toEqual([]);
  });
});

test("what is gone or no file is null, or empty", () => {
  expect(readProc("self/comm")).toBe(readFileSync("/proc/self/comm", "latin1"));
  expect([readProc("2147483647/stat"), readProc("self")]).toEqual([null, null]);
  expect(listProc("2147483647/fd")).toEqual([]);
  expect(allPids()).toContain(process.pid);
});
