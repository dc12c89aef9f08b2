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

/** The functions of a text that have more lines than 40, by name: from the first line of the head to the closing brace. */
function longFunctions(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    if (
      !/(?:=>|\)|\): [^=]*) \{$/.test(line) ||
      /^ *(?:\} )?(?:if|for|while|switch|else|try|catch|finally)\b/.test(line)
    )
      return [];
    const [indent = ""] = /^ */.exec(line) ?? [];
    const isAt = (other: string) => other.startsWith(indent) && other[indent.length] !== " ";
    // A head of several lines ends with ") {": it begins at the line before that has the same indent.
    const isTail = /^ *[)}]/.test(line);
    const from = isTail ? lines.slice(0, index).findLastIndex((other) => isAt(other) && !other.includes("}")) : index;
    const length = lines.slice(index + 1).findIndex((other) => other.startsWith(`${indent}}`)) + 2 + index - from;
    const name =
      /(?:function\*? |const )?(\w+)/.exec(lines[from]!.replace("export ", "").replace("async ", ""))?.[1] ?? "";
    return length > 40 && !DECLARES.test(name) ? [`${name}: ${length} lines`] : [];
  });
}

// What only declares, a list of options or of keys without anything to follow, says so in its name.
const DECLARES = /^declare[A-Z]/;

test.each(sources)("%s has no function of more than 40 lines", (file) => {
  expect(longFunctions(read(file))).toEqual([]);
});

test("the measure of functions sees heads of one line and of several, arrows and methods, and what only declares", () => {
  const body = "\n  x();".repeat(40);
  const outer = (head: string) => `${head}${body}\n}\n`;
  expect(longFunctions(outer("export async function long(a: string) {"))).toEqual(["long: 42 lines"]);
  expect(longFunctions(outer("function long(\n  a: string,\n): void {"))).toEqual(["long: 44 lines"]);
  expect(longFunctions(outer("const long = (a: string) => {"))).toEqual(["long: 42 lines"]);
  const method = `const all = {\n  async long(a) {${body.replaceAll("  x", "    x")}\n  },\n};\n`;
  expect(longFunctions(method)).toEqual(["long: 42 lines"]);
  expect(longFunctions(outer("function declareThem(a: string) {"))).toEqual([]);
  expect(longFunctions(`function short() {\n  x();\n}\n${outer("if (x) {")}`)).toEqual([]);
});

const LEFT_OVERS = [
  ["an open task", /\b(TODO|FIXME|XXX|HACK)\b/],
  ["a type given up", /\bas any\b|:\s*any\s*([;,)=|&>[{}]|$)|<any>|@ts-(ignore|nocheck|expect-error)/m],
  ["an error dropped without a word", /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*\{\s*\}\)/],
  ["a debugger", /\bdebugger\b/],
  ["an object spread to save a line", /\.\.\.\{/],
  ["two steps in one of a loop", /\bfor \((?:[^;()]|\([^()]*\))*;(?:[^;()]|\([^()]*\))*;(?:[^,()]|\([^()]*\))*,/],
  ["two expressions in one", /(?:=>|return|&&|\|\|) \([^()\[\]{}"'`,]+, [^()\[\]{}"'`]*\)(?! *(?:=>|:))/],
] as const;

/** The left-overs in a text, by name. */
const leftOvers = (text: string): string[] =>
  LEFT_OVERS.filter(([, pattern]) => pattern.test(text)).map(([name]) => name);

test.each(sources)("%s has no left-overs", (file) => {
  expect(leftOvers(read(file))).toEqual([]);
});

// bundle.ts is a build's own program, node runs the interpreter's line, and the relay shows errors of Bun's with their stack.
const OWN_WORDS = [
  ...["lib/text/say.ts", "lib/bundle/bundle.ts", "lib/apps/node/interpreter.ts"],
  ...["control.ts", "downstream.ts", "outlet.ts", "upstream.ts"].map((name) => `lib/fronts/relay/${name}`),
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
  ["f({ ...{ a, b }, c });", "an object spread to save a line"],
  ["for (let i = 0; i < n; i++, at++) f();", "two steps in one of a loop"],
  ["const f = (x) => (a = x, b);", "two expressions in one"],
  ["try { f(); } catch (error) {\n}", "an error dropped without a word"],
])("the check for left-overs sees %j", (text, name) => {
  expect(leftOvers(text)).toEqual([name]);
});

test.each(filesIn("lib/**/*.ts"))("%s says in its first line what it owns", (file) => {
  expect(read(file)).toMatch(/^\/\/ \S/);
});

test("one place reads /etc/passwd", () => {
  expect(sources.filter((file) => /\/etc\/passwd|\bgetent\b/.test(read(file)))).toEqual(["lib/host/passwd.ts"]);
});

test("prose is no left-over", () => {
  expect(
    leftOvers(
      "for (let delay = 5; ; delay = Math.min(delay * 1.5, 100)) f((a, b) => ({ ...a, ...(b ? { b } : {}) }));",
    ),
  ).toEqual([]);
  expect(leftOvers("/** Which ones count; default: any from 200 to 299. */")).toEqual([]);
});
