// What every file of the project keeps to, checked over the files themselves.
import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const project = resolve(import.meta.dir, "..");
const SHEBANG = "#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install";

const read = (file: string) => readFileSync(join(project, file), "utf8");
const filesIn = (...patterns: string[]) =>
  patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: project })]).sort();
const sources = filesIn("bin/*", "lib/**/*.ts", "steps/*.ts");

test("there is something to check", () => {
  for (const folder of ["bin/", "lib/", "steps/"]) expect(sources.some((file) => file.startsWith(folder))).toBe(true);
});

test.each(filesIn("bin/*", "steps/*"))("%s can be run, without code from the current folder", (file) => {
  expect(read(file).split("\n")[0]).toBe(SHEBANG);
  expect(statSync(join(project, file)).mode & 0o111).toBe(0o111);
});

test.each(filesIn("install.sh", ".ci/run", "test/support/*.sh"))("%s can be run, and a shell can read it", (file) => {
  expect(read(file)).toMatch(/^#!\/(bin\/sh|usr\/bin\/env bash)\n# ./);
  expect(statSync(join(project, file)).mode & 0o111).toBe(0o111);
  expect(Bun.spawnSync(["bash", "-n", file], { cwd: project }).exitCode).toBe(0);
});

test("bun.lock names no address, so that it installs from anybody's registry", () => {
  expect(read("bun.lock")).not.toContain("://");
});

test.each(filesIn("bin/*", "steps/*"))("%s is short enough to be read at once", (file) => {
  const most = file.startsWith("steps/") ? 90 : 5;
  expect(read(file).trimEnd().split("\n").length).toBeLessThanOrEqual(most);
});

const LEFT_OVERS = [
  ["an open task", /\b(TODO|FIXME|XXX|HACK)\b/],
  ["a type given up", /\bas any\b|:\s*any\s*([;,)=|&>[{}]|$)|<any>|@ts-(ignore|nocheck|expect-error)/m],
  ["an error dropped without a word", /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*\{\s*\}\)/],
  ["a debugger", /\bdebugger\b/],
] as const;

/** The left-overs in a text, by name. */
const leftOvers = (text: string): string[] =>
  LEFT_OVERS.filter(([, pattern]) => pattern.test(text)).map(([name]) => name);

test.each(sources)("%s has no left-overs", (file) => {
  expect(leftOvers(read(file))).toEqual([]);
});

// bundle.ts is a build's own program, node runs the interpreter's line, and the relay shows errors of Bun's with their stack.
const OWN_WORDS = [
  ...["lib/text/say.ts", "lib/bundle.ts", "lib/apps/node/interpreter.ts"],
  ...["lib/fronts/relay/downstream.ts", "lib/fronts/relay/upstream.ts"],
];

test.each(sources.filter((file) => !OWN_WORDS.includes(file)))("%s shows nothing but through say.ts", (file) => {
  expect(read(file)).not.toMatch(/\bconsole\.(log|error|warn|info)\(|process\.stdout\.write/);
});

test.each([
  ["// TODO: later", "an open task"],
  ["const x = y as any;", "a type given up"],
  ["function f(x: any) {}", "a type given up"],
  ["let x: any;", "a type given up"],
  ["type X = { y: any[] };", "a type given up"],
  ["try { f(); } catch {}", "an error dropped without a word"],
  ["try { f(); } catch (error) {\n}", "an error dropped without a word"],
])("the check for left-overs sees %j", (text, name) => {
  expect(leftOvers(text)).toEqual([name]);
});

test.each(filesIn("lib/**/*.ts"))("%s says in its first line what it owns", (file) => {
  expect(read(file)).toMatch(/^\/\/ \S/);
});

test("prose is no left-over", () => {
  expect(leftOvers("/** Which ones count; default: any from 200 to 299. */")).toEqual([]);
});
