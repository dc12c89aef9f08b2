// The line that starts an app, and that it does what npm would have done, in real shells.
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { DpError } from "../../../lib/errors.ts";
import { parsePackage } from "../../../lib/apps/node/package.ts";
import { lineEnv, scriptLine } from "../../../lib/apps/node/script.ts";
import { startCommand } from "../../../lib/apps/node/start.ts";
import { startScript } from "../../../lib/host/process/command-line.ts";
import { run } from "../../../lib/host/run.ts";
import { cleanUp, memoryTree, pkg, scratch, writeFiles } from "./support.ts";

afterAll(cleanUp);

const command = (files: Record<string, string>, more: Record<string, unknown> | null, options = {}) =>
  startCommand({
    ...{ tree: memoryTree(files), pkg: more && parsePackage(pkg(more)), runner: "node", folder: "/r", hasBuild: false },
    ...options,
  });

test.each<[string, Record<string, string>, Record<string, unknown> | null, object, string]>([
  ["Procfile before all", { Procfile: "web: ./x", "server.js": "" }, { scripts: { start: "y" } }, {}, "./x"],
  ["main", { "lib/a.js": "" }, { main: "./lib/a.js" }, {}, "node lib/a.js"],
  ["main without its end", { "lib/a.js": "" }, { main: "lib/a" }, {}, "node lib/a.js"],
  ["main as a folder", { "lib/index.js": "" }, { main: "lib/" }, {}, "node lib/index.js"],
  ["main that a build makes", {}, { main: "dist/a.js" }, { hasBuild: true }, "node dist/a.js"],
  ["main that is nowhere, but server.js is", { "server.js": "" }, { main: "index.js" }, {}, "node server.js"],
  ["main outside", { "app.js": "" }, { main: "../../etc/x.js" }, {}, "node app.js"],
  ["main with a strange name", { "-e it.js": "" }, { main: "-e it.js" }, {}, "node './-e it.js'"],
  ["server.js before index.js", { "index.js": "", "server.js": "" }, null, {}, "node server.js"],
  ["a module", { "index.mjs": "" }, null, {}, "node index.mjs"],
  ["bun and TypeScript", { "index.ts": "", "app.js": "" }, null, { runner: "bun" }, "bun index.ts"],
])("%s", async (_, files, more, options, expected) => {
  expect(await command(files, more, options)).toBe(expected);
});

test("nothing to start is an error that says where was looked", async () => {
  const error = (await command({ "index.ts": "" }, {}).catch((thrown: unknown) => thrown)) as DpError;
  expect(error).toMatchObject({ exit: "config", hint: expect.stringContaining('"start"') });
  for (const words of ["Procfile", "start script", "main", "server.js"]) expect(error.message).toContain(words);
});

const ENV = { PATH: "/usr/bin:/bin", HOME: "/" };

async function ran(scripts: Record<string, string>, more: Record<string, unknown> = {}) {
  const folder = await scratch();
  await writeFiles(folder, { "package.json": pkg({ scripts, ...more }) });
  const parsed = parsePackage(pkg({ scripts, ...more }));
  const line = scriptLine(parsed, "start", folder)!;
  const env = { ...ENV, ...lineEnv(parsed, "start", folder) };
  return { line, folder, ...(await run(["sh", "-c", startScript(line)], { env, cwd: folder, check: false })) };
}

test("a script sees npm's variables", async () => {
  const scripts = {
    start:
      'printf "%s\\n" "$npm_lifecycle_event" "$npm_package_name" "$npm_package_version" "$npm_package_json" "$npm_package_config_port"',
  };
  const { text, folder } = await ran(scripts, { config: { port: 8080 } });
  expect(text.split("\n")).toEqual(["start", "app", "1.2.3", join(folder, "package.json"), "8080"]);
});

test("one simple command replaces the shell, a list does not lose any of its parts", async () => {
  expect((await ran({ start: "node server.js --port 1" })).line).toBe("node server.js --port 1");
  const simple = await ran({ start: "sh -c 'cat /proc/$PPID/comm; cat /proc/$$/comm'" });
  // Its parent is who started the line, not a shell of the line.
  expect(simple.text.split("\n")[0]).not.toBe("sh");
  expect((await ran({ start: "A=1 && echo one; echo $A two | cat" })).text).toBe("one\n1 two");
});

test("prestart runs first, in a shell of its own, and its failure is the end", async () => {
  expect((await ran({ prestart: "cd / && echo $npm_lifecycle_event 'it'", start: "pwd" })).text).toMatch(
    /^prestart it\n\/tmp\//,
  );
  const failed = await ran({ prestart: "echo no; exit 7", start: "echo never" });
  expect([failed.code, failed.text]).toEqual([7, "no"]);
});

test.each<[Record<string, string>, string]>([
  [{ start: "npm run serve", serve: "node a.js" }, "node a.js"],
  [{ start: "yarn serve", serve: "pnpm run deep", deep: "node b.js" }, "node b.js"],
  [{ start: "npm run serve", serve: "node a.js", preserve: "x" }, "npm run serve"],
  [{ start: "npm run serve -- --port 1", serve: "node a.js" }, "npm run serve -- --port 1"],
  [{ start: "npm run gone" }, "npm run gone"],
  [{ start: "bun run src/index.ts" }, "bun run src/index.ts"],
  [{ start: "npm run start" }, "npm run start"],
])("%j: another script is followed when it is all there is", (scripts, end) => {
  expect(scriptLine(parsePackage(pkg({ scripts })), "start", "/r")).toBe(end);
});

test("names and values of package.json never become a part of the shell line", async () => {
  const hostile = "'; touch pwned; '$(touch pwned)";
  const { text, folder } = await ran(
    { start: 'echo "$npm_package_name|$npm_package_config_a_b"' },
    { name: hostile, config: { "a b": "`touch pwned`" } },
  );
  expect(text).toBe(`${hostile}|\`touch pwned\``);
  expect(await Bun.file(join(folder, "pwned")).exists()).toBe(false);
});

test("no script, no line", () => {
  expect(scriptLine(parsePackage(pkg()), "start", "/r")).toBeNull();
  expect(scriptLine(parsePackage(pkg({ scripts: { start: "  " } })), "start", "/r")).toBeNull();
});
