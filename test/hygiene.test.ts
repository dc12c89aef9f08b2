// What every file of the project keeps to, checked over the files themselves.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

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

const MOST_LINES = [
  ["lib/", 170],
  ["steps/", 90],
  ["bin/", 5],
] as const;

test.each(sources)("%s is short enough to be read at once", (file) => {
  const most = MOST_LINES.find(([folder]) => file.startsWith(folder))![1];
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

/** How far out a file is: an import may only go to the same number or a higher one. */
function layer(file: string): number {
  if (file.startsWith("bin/")) return 0;
  if (file === "lib/cli.ts" || file.startsWith("lib/cli/")) return 1;
  if (/^lib\/(commands|selftest)\//.test(file) || file === "lib/pipeline/runner.ts") return 2;
  if (/^lib\/deploy\/(begin|deploy-logs|failure|join|launch|settle|work|worker)\.ts$/.test(file)) return 2;
  if (file.startsWith("steps/")) return 3;
  if (/^lib\/(apps|managers|fronts)\/[^/]+$/.test(file)) return 4;
  return 5;
}

/** The project's files that a file imports when it is loaded; `import()` is a hand-over at run time, not a layer. */
function importsOf(file: string, text = read(file)): string[] {
  const found = text.matchAll(/^\s*(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?["'](\.[^"']*)["']/gm);
  return [...found].map(([, path]) => relative(project, resolve(project, dirname(file), path!)));
}

test("prose is no left-over", () => {
  expect(leftOvers("/** Which ones count; default: any from 200 to 299. */")).toEqual([]);
});

describe("layers: bin, cli, commands and runner, steps, apps managers fronts, everything else", () => {
  test.each(sources)("%s imports nothing from further out", (file) => {
    const outward = importsOf(file).filter((target) => layer(target) < layer(file));
    expect(outward).toEqual([]);
  });

  test.each(sources)("%s imports files that exist, with their extension", (file) => {
    expect(
      importsOf(file).filter(
        (target) => !existsSync(join(project, target)) || statSync(join(project, target)).isDirectory(),
      ),
    ).toEqual([]);
  });

  test("nothing of the tests reaches dp", () => {
    expect(sources.filter((file) => importsOf(file).some((target) => target.startsWith("test/")))).toEqual([]);
  });

  test("an import is seen however it is written", () => {
    const text = `import "../a.ts";\nimport { b } from '../b.ts';\nimport {\n  c,\n} from "./c.ts";\nexport * from "./d.ts";\nimport type { E } from "./e.ts";\nconst f = await import("./f.ts");\n`;
    expect(importsOf("lib/x/y.ts", text)).toEqual(["lib/a.ts", "lib/b.ts", "lib/x/c.ts", "lib/x/d.ts", "lib/x/e.ts"]);
  });

  test.each([
    ["bin/dp", 0],
    ["lib/cli.ts", 1],
    ["lib/commands/init.ts", 2],
    ["lib/pipeline/runner.ts", 2],
    ["steps/swap.ts", 3],
    ["lib/managers/systemd.ts", 4],
    ["lib/host/io.ts", 5],
  ])("%s is layer %d", (file, expected) => expect(layer(file)).toBe(expected));
});
