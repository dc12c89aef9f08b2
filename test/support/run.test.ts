// The test run itself: it must not be green when nothing was tested.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { closingLine, countsOf, isAlone, runFiles, splitArguments, testFiles, usesBox } from "./run.ts";

const project = resolve(import.meta.dir, "../..");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-run-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  [["test/hygiene.test.ts"], [resolve("test/hygiene.test.ts")], []],
  [["-t", "a name", "./test"], [resolve("test")], ["-t", "a name"]],
  [["--timeout=5", "--bail", "1"], [], ["--timeout=5", "--bail", "1"]],
  [[], [], []],
])("arguments %j are paths and options", (argv, paths, options) => {
  expect(splitArguments(argv)).toEqual({ paths, options });
});

test("paths choose test files; one that chooses none is an error", () => {
  const own = import.meta.path;
  expect(testFiles([own])).toEqual([own]);
  expect(testFiles([join(project, "test/support")])).toContain(own);
  expect(testFiles([])).toContain(own);
  expect(() => testFiles([join(project, "test/sup")])).toThrow("no test file at or below");
});

test("what boots a server runs alone", () => {
  expect(usesBox(join(project, "test/e2e/box.test.ts"))).toBe(true);
  expect(usesBox(join(project, "test/e2e/server.test.ts"))).toBe(true);
  expect(usesBox(import.meta.path)).toBe(false);
  expect(isAlone(join(project, "test/bench/bench.test.ts"))).toBe(true);
  expect(isAlone(import.meta.path)).toBe(false);
});

test.each([
  [
    '<testsuites name="bun test" tests="8" assertions="3" failures="2" skipped="1" time="1">',
    "5 passed, 2 failed, 1 skipped",
  ],
  ['<testsuites tests="3" failures="0" skipped="0">', "3 passed, 0 failed"],
])("a report %s ends in %s", (head, line) => {
  expect(closingLine(countsOf(`<?xml version="1.0"?>\n${head}\n</testsuites>`))).toBe(line);
});

test("a text that is no report is an error", () => {
  expect(() => countsOf("")).toThrow("no <testsuites>");
});

test.each([
  ["passes", `test("a", () => {}); test.skip("b", () => {});`, { passed: 1, failed: 0, skipped: 1 }],
  ["fails", `test("a", () => {}); test("b", () => { throw new Error("no"); });`, { passed: 1, failed: 1, skipped: 0 }],
  [
    "leaves in the middle",
    `test("a", () => process.exit(0)); test("b", () => {});`,
    { passed: 0, failed: 1, skipped: 0 },
  ],
  ["does not load", `import "./nowhere.ts"; test("a", () => {});`, { passed: 0, failed: 1, skipped: 0 }],
  ["has no test", `export {};`, { passed: 0, failed: 1, skipped: 0 }],
])("a file that %s", async (name, body, counts) => {
  const file = join(folder, `${name.replaceAll(" ", "-")}.test.ts`);
  writeFileSync(file, `import { test } from "bun:test";\n${body}\n`);
  expect(await runFiles([file], [], "ignore")).toEqual(counts);
});

test.each([
  [["test/hygiene.test.ts", "-t", "there is something to check"], 0, "1 passed, 0 failed"],
  [["test/hygiene.test.ts", "-t", "no test has this name"], 1, "0 passed, 1 failed"],
  [["test/nowhere.test.ts"], 1, "0 passed, 1 failed"],
])("with %j it exits with %d, and the last line says so", async (argv, code, line) => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "run.ts"), ...argv], {
    cwd: project,
    env: process.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [exit, out] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  expect([exit, out.trimEnd().split("\n").at(-1)]).toEqual([code, line]);
});
