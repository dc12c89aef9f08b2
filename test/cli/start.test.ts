// What each start of dp pays for: a push and a rollback wait for it.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { declared } from "../../lib/cli.ts";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";

const project = resolve(import.meta.dir, "../..");
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** What a file imports at its top, once its types are gone: its own files, and modules by name. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replace(/^#!.*/, "");
  const atTop = transpiler.scanImports(text).filter(({ kind }) => kind === "import-statement");
  return atTop.map(({ path }) => (path.startsWith(".") ? resolve(dirname(file), path) : path));
}

/** The modules that these files need before they do anything. */
function modulesOf(files: readonly string[]): string[] {
  const seen = new Set<string>();
  const left = files.map((file) => join(project, file));
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.endsWith(".ts")) left.push(...importsOf(next));
  }
  return [...seen].filter((module) => !module.startsWith("/"));
}

// Each costs milliseconds of processor time; node:tty and node:http load node:net.
const SLOW = ["node:crypto", "node:http", "node:net", "node:stream", "node:tls", "node:tty", "node:url", "nodemailer"];

test.each([
  ["any command", ["lib/cli.ts"]],
  ["a push", ["lib/access/serve-push.ts", "lib/commands/hook.ts"]],
  ["a rollback", ["lib/deploy/rollback.ts"]],
  ["the process of a deploy", ["lib/deploy/work.ts", ...PIPELINES.deploy.map((step) => `steps/${step}.ts`)]],
  ["an instance of the builtin manager", ["lib/host/supervisor/supervisor.ts"]],
])("%s starts without slow modules", (_, files) => {
  const modules = modulesOf(files);
  expect(modules).toContain("node:fs");
  expect(modules.filter((module) => SLOW.includes(module))).toEqual([]);
});

test.each(["execute", "hook", "rollback", "serve-git", "work"])("dp %s is declared without all others", (name) => {
  const some = declared(name).commands.map((command) => command.name);
  const all = declared().commands.map((command) => command.name);
  expect(some).toContain(name);
  expect(some.length).toBeLessThan(all.length / 2);
  expect(all).toEqual(expect.arrayContaining(some));
});
