// The test run itself: it must not be green when nothing was tested.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { closingLine, countsByFile, sum } from "./junit.ts";
import { isAlone, runFiles, runTwice, splitArguments, testFiles, usesBox } from "./run.ts";

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

test("a report tells what each file came to, and all together", () => {
  const report = `<?xml version="1.0"?>
<testsuites name="bun test" tests="5" failures="1" skipped="1">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="4" failures="1" skipped="1">
    <testsuite name="group" file="test/a.test.ts" tests="2" failures="1" skipped="0">
    </testsuite>
  </testsuite>
  <testsuite name="test/b.test.ts" file="test/b.test.ts" tests="1" failures="0" skipped="0">
  </testsuite>
</testsuites>`;
  const files = countsByFile(report);
  expect([...files]).toEqual([
    ["test/a.test.ts", { passed: 2, failed: 1, skipped: 1 }],
    ["test/b.test.ts", { passed: 1, failed: 0, skipped: 0 }],
  ]);
  expect(closingLine(sum(files.values()))).toBe("3 passed, 1 failed, 1 skipped");
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
});

test("a text that is no report is an error", () => {
  expect(() => countsByFile("")).toThrow("no <testsuites>");
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
  expect(sum((await runFiles([file], [], "ignore")).values())).toEqual(counts);
});

test.each([
  ["always", "true", { passed: 2, failed: 1, skipped: 0, unsteady: [] }],
  ["only the first time", "!existsSync(import.meta.path + '.ran')", { passed: 3, failed: 0, skipped: 0 }],
])("a file that fails %s, beside one that passes", async (when, condition, counts) => {
  const file = join(folder, `fails-${when.replaceAll(" ", "-")}.test.ts`);
  const good = join(folder, "good.test.ts");
  const body = `const fails = ${condition}; writeFileSync(import.meta.path + ".ran", "");
test("a", () => {}); test("b", () => { if (fails) throw new Error("no"); });`;
  const imports = 'import { test } from "bun:test"; import { existsSync, writeFileSync } from "node:fs";';
  writeFileSync(file, `${imports}\n${body}\n`);
  writeFileSync(good, 'import { test } from "bun:test"; test("a", () => {});\n');
  const ended = await runTwice([file, good], ["--parallel=2"], "ignore");
  expect(ended).toMatchObject(counts);
  expect(ended.unsteady.length).toBe(counts.failed === 0 ? 1 : 0);
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
