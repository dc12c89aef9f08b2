// The test run itself: it must not be green when nothing was tested.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { handOut, isAlone, LONGEST, longestFirst, usesBox, usesEngineBox } from "./hand-out.ts";
import { closingLine, countsByFile, sum } from "./junit.ts";
import { runFile } from "./run-file.ts";
import { runTwice, splitArguments, testFiles } from "./run.ts";
import { until } from "./sandbox.ts";

const project = resolve(import.meta.dir, "../..");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-run-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a test file; `fs` is there. */
function testFile(name: string, body: string): string {
  const file = join(folder, `${name.replaceAll(" ", "-")}.test.ts`);
  writeFileSync(file, `import { test } from "bun:test";\nimport * as fs from "node:fs";\n${body}\n`);
  return file;
}

test.each([
  [["test/hygiene.test.ts"], [resolve("test/hygiene.test.ts")], []],
  [["-t", "a name", "./test"], [resolve("test")], ["-t", "a name"]],
  [["--timeout=5", "--bail", "1"], [], ["--timeout=5", "--bail", "1"]],
  [[], [], []],
])("arguments %j are paths and options", (argv, paths, options) => {
  expect(splitArguments(argv)).toMatchObject({ paths, options });
});

test("how many files run at a time can be said", () => {
  expect(splitArguments(["--parallel=7", "--bail"])).toEqual({ paths: [], options: ["--bail"], many: 7 });
  expect(splitArguments(["--parallel"]).many).toBeGreaterThan(0);
});

test("paths choose test files; one that chooses none is an error", () => {
  const own = import.meta.path;
  expect(testFiles([own])).toEqual([own]);
  expect(testFiles([join(project, "test/support")])).toContain(own);
  expect(testFiles([])).toContain(own);
  expect(() => testFiles([join(project, "test/sup")])).toThrow("no test file at or below");
  expect(() => testFiles([join(project, "test/nowhere.test.ts")])).toThrow("no test file at or below");
});

test("what boots a server, and what measures, is known by its file", () => {
  expect(usesBox(join(project, "test/e2e/box.test.ts"))).toBe(true);
  expect(usesBox(join(project, "test/e2e/server.test.ts"))).toBe(true);
  expect(usesBox(import.meta.path)).toBe(false);
  expect(usesEngineBox(join(project, "test/e2e/server-docker.test.ts"))).toBe(true);
  expect(usesEngineBox(join(project, "test/e2e/server.test.ts"))).toBe(false);
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
  expect(await runFile(testFile(name, body), [], { output: "none" })).toEqual(counts);
});

test.each([
  ["nothing of it", "nowhere", { passed: 0, failed: 0, skipped: 0 }],
  ["one of two", "first", { passed: 1, failed: 0, skipped: 0 }],
])("a filter that matches %s", async (what, filter, counts) => {
  const file = testFile(`has ${what}`, `test("first", () => {}); test("second", () => {});`);
  expect(await runFile(file, ["-t", filter], { output: "none" })).toEqual(counts);
});

test("a filter hides no file that does not load", async () => {
  const file = testFile("broken", `import "./nowhere.ts"; test("a", () => {});`);
  expect(await runFile(file, ["-t", "a"], { output: "none" })).toMatchObject({ failed: 1 });
});

const child = (pid: string) => `fs.writeFileSync("${pid}", String(Bun.spawn(["sleep", "1000"]).pid));`;
const isGone = (pid: string) => !existsSync(`/proc/${readFileSync(pid, "utf8")}`);

test("a file that hangs is ended, and what it has started", async () => {
  const pid = join(folder, "hanging");
  const file = testFile("hangs", `test("a", () => { ${child(pid)} for (;;); });`);
  expect(await runFile(file, [], { output: "none", silence: 1_000 })).toMatchObject({ passed: 0, failed: 1 });
  await until("its child is gone", () => isGone(pid));
});

test.each([
  ["always", "true", { passed: 2, failed: 1, skipped: 0, unsteady: [] }],
  ["only the first time", "!fs.existsSync(import.meta.path + '.ran')", { passed: 3, failed: 0, skipped: 0 }],
])("a file that fails %s, beside one that passes", async (when, condition, counts) => {
  const body = `const fails = ${condition}; fs.writeFileSync(import.meta.path + ".ran", "");
test("a", () => {}); test("b", () => { if (fails) throw new Error("no"); });`;
  const files = [testFile(`fails ${when}`, body), testFile("good", 'test("a", () => {});')];
  const ended = await runTwice(files, { many: 2, isQuiet: true });
  expect(ended).toMatchObject(counts);
  expect(ended.unsteady.length).toBe(counts.failed === 0 ? 1 : 0);
});

test("with more than six failed files nothing is repeated", async () => {
  const body = `fs.appendFileSync(import.meta.path + ".ran", "x"); test("a", () => { throw new Error("no"); });`;
  const files = [1, 2, 3, 4, 5, 6, 7].map((number) => testFile(`fails ${number}`, body));
  expect(await runTwice(files, { isQuiet: true })).toEqual({ passed: 0, failed: 7, skipped: 0, unsteady: [] });
  for (const file of files) expect(readFileSync(`${file}.ran`, "utf8")).toBe("x");
});

test("files that measure run after all others, and one by one", async () => {
  const log = join(folder, "order");
  const say = (what: string) => `fs.appendFileSync("${log}", ${what});`;
  const body = (name: string) =>
    `test("a", async () => { ${say(`"${name} "`)} await Bun.sleep(100); ${say(`"${name} "`)} });`;
  const files = ["bench-one", "load-two", "other"].map((name) => testFile(name, body(name)));
  expect((await runTwice(files, { many: 3, isQuiet: true })).passed).toBe(3);
  expect(readFileSync(log, "utf8")).toBe("other other bench-one bench-one load-two load-two ");
});

test("known long files are there, and begun first", () => {
  for (const file of Object.keys(LONGEST)) expect(existsSync(join(project, "test", file))).toBe(true);
  const [long] = Object.entries(LONGEST).toSorted(([, a], [, b]) => b - a)[0]!;
  const files = [import.meta.path, join(project, "test/version.test.ts"), join(project, "test", long)];
  expect(longestFirst(files)).toEqual([files[2]!, files[0]!, files[1]!]);
});

test("no more are under way than may be; what may not begin yet lets the others pass, and is not forgotten", async () => {
  const begun: string[] = [];
  const most: number[] = [];
  const opening = Promise.withResolvers<void>();
  let isOpen = false;
  const mayBegin = (item: string) => item !== "late" || isOpen;
  let underWay = 0;
  const use = async (item: string) => {
    most.push(++underWay);
    begun.push(item);
    await Bun.sleep(0);
    underWay--;
    if (item !== "c") return;
    isOpen = true;
    opening.resolve();
  };
  await handOut(["late", "a", "b", "c"], 2, mayBegin, use, opening.promise);
  expect(begun).toEqual(["a", "b", "c", "late"]);
  expect(Math.max(...most)).toBe(2);
});

test.each([
  [["test/hygiene.test.ts", "-t", "there is something to check"], 0, "1 passed, 0 failed"],
  [["test/hygiene.test.ts", "-t", "no test has this name"], 1, "0 passed, 1 failed"],
  [["test/nowhere.test.ts"], 1, "0 passed, 1 failed"],
])("with %j it exits with %d, and the last line says so", async (argv, code, line) => {
  const { exited, out } = start(...argv);
  expect([await exited, await lastLine(out)]).toEqual([code, line]);
});

function start(...argv: string[]) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "run.ts"), ...argv], {
    cwd: project,
    env: process.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return { ...child, child, exited: child.exited, out: child.stdout.text(), said: child.stderr.text() };
}
const lastLine = async (out: Promise<string>) => (await out).trimEnd().split("\n").at(-1);

test("what files say is shown one after the other", async () => {
  const body = (name: string) =>
    `test("a", async () => { for (let at = 0; at < 3; at++) { console.log("${name} " + at); await Bun.sleep(50); } });`;
  const files = ["speaks", "talks"].map((name) => testFile(name, body(name)));
  const { exited, out, said } = start("--parallel=2", ...files);
  expect([await exited, await lastLine(out)]).toEqual([0, "2 passed, 0 failed"]);
  const lines = (await said).split("\n").filter((line) => /^(speaks|talks) \d$/.test(line));
  expect(lines.join(" ")).toMatch(/^(speaks 0 speaks 1 speaks 2|talks 0 talks 1 talks 2) (?!\1)/);
  expect(lines.length).toBe(6);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends the files under way, and is no success", async (signal) => {
  const pid = join(folder, signal);
  const file = testFile(`waits for ${signal}`, `test("a", async () => { ${child(pid)} await Bun.sleep(100_000); });`);
  const { child: started, exited, out, said } = start(file);
  await until("the file has begun", () => existsSync(pid) && readFileSync(pid, "utf8") !== "");
  started.kill(signal);
  expect([await exited, await lastLine(out)]).toEqual([1, "0 passed, 1 failed"]);
  expect(await said).toContain(`ended by ${signal}`);
  await until("its child is gone", () => isGone(pid));
});
