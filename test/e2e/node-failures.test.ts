// What can go wrong with a node app, on the builtin manager: the old release serves, and the next push mends it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { lockedApp, pkg } from "../apps/node/support.ts";
import { ended } from "../support/load-run.ts";
import { nodeSandbox, settings } from "../support/node-run.ts";
import type { Outcome, Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(240_000);

const SERVER = `const ms = require("ms");
require("node:http").createServer((request, response) => response.end(ms(60000) + " " + process.env.DP_RELEASE))
  .listen(Number(process.env.PORT), process.env.DP_HOST);
`;
const BUILD = "node -e \"require('is-number'); require('fs').writeFileSync('built', 'yes')\"";
const SCRIPTS = { build: BUILD, start: "node server.js" };
const deployYml = (app: string) =>
  `name: ${app}\ntype: node\nhealthCheck: {path: /, startTimeout: 5s, interval: 50ms}\n`;

let box: Sandbox;
let live = "";
let files: Record<string, string> = {};

beforeAll(async () => {
  box = await nodeSandbox("nodes");
  files = { ...(await lockedApp("npm", { scripts: SCRIPTS })), "server.js": SERVER, "deploy.yml": deployYml(box.app) };
});
afterAll(() => box?.stop());

async function expectLive(id: string): Promise<void> {
  expect(box.link("current")).toBe(id);
  expect(await box.answer()).toBe(`1m ${id}`);
  expect(readdirSync(join(box.base, "releases", id, "node_modules")).filter((name) => !name.startsWith("."))).toEqual([
    "ms",
  ]);
}

test("the first push is installed, built and thinned out", async () => {
  live = await box.release(files);
  await expectLive(live);
  expect(box.run().facts["runtime"]).toMatchObject({ env: { NODE_ENV: "production" } });
});

test("after new settings it is said that the build script saw the old ones", async () => {
  const said = `dp: the build saw the old settings: if it reads them, dp deploy ${box.app} builds again\n`;
  const changed = await box.dp("env", box.app, "set", "API=/v2");
  expect([changed.code, changed.text]).toEqual([0, expect.stringContaining(said)]);
  expect((await box.dp("env", box.app, "unset", "API")).code).toBe(0);
  expect((await box.dp("rollback", box.app, live)).code).toBe(0);
  await expectLive(live);
});

/** A push of changed files that is refused; the working copy is as before then. */
async function refused(changes: Record<string, string | null>): Promise<Outcome> {
  await box.commit(changes);
  const pushed = await box.push();
  expect(ended(pushed, 1)).toBe("1");
  await expectLive(live);
  await box.git("reset", "--quiet", "--hard", "HEAD~1");
  return pushed;
}
const withScripts = (scripts: Record<string, string>, more: Record<string, unknown> = {}) => ({
  "package.json": pkg({
    ...(JSON.parse(files["package.json"]!) as object),
    scripts: { ...SCRIPTS, ...scripts },
    ...more,
  }),
});

test.each<[string, () => Record<string, string | null>, string[]]>([
  [
    "a lock file behind package.json",
    () => withScripts({}, { dependencies: { ms: "2.0.0" } }),
    ["FAILED at install", "ms@2.1.3", "→ npm install, commit package-lock.json, push"],
  ],
  ["package.json that is none", () => ({ "package.json": "{" }), ["FAILED at install", "package.json: not valid JSON"]],
  ["a node that nobody has", () => ({ ".nvmrc": "4" }), ["wants node 4 (.nvmrc), this server has ", "22.23.3"]],
  [
    "a build that fails",
    () => withScripts({ build: "echo its words; exit 4" }),
    ["FAILED at build", "its words", "exited with code 4"],
  ],
  [
    "an install script of its own that fails",
    () => withScripts({ postinstall: "exit 5" }),
    ["FAILED at install", "exited with code 5"],
  ],
  ["a crash at boot", () => ({ "server.js": 'throw new Error("boom at boot");' }), ["boom at boot"]],
  ["a prestart that fails", () => withScripts({ prestart: "echo not today; exit 3" }), ["not today"]],
  [
    "an unhealthy release",
    () => ({ "server.js": SERVER.replace("response.end(", "response.writeHead(500).end(") }),
    ["FAILED at check", "500"],
  ],
  ["nothing to start", () => ({ "server.js": null, ...withScripts({ start: "" }) }), ["FAILED at start"]],
])("%s is refused, and the old release serves", async (_, changes, words) => {
  const { text } = await refused(changes());
  for (const word of words) expect(text).toContain(word);
});

test.each(["install:spawned", "install:6", "install:done", "build:spawned", "build:done"])(
  "killed at %s, the deploy is finished by dp resume",
  async (failpoint) => {
    // Another set of modules each time, so that there is something to install.
    settings(box, { npm_config_killed_at: failpoint });
    expect(ended(await box.dpKilledAt(failpoint, "deploy", box.app), 143)).toBe("143");
    expect(await box.answer()).toBe(`1m ${live}`);
    expect(ended(await box.dp("resume", box.app))).toBe("0");
    live = box.link("current")!;
    expect(live).toBe(box.ids().at(-1)!);
    await expectLive(live);
    expect(readdirSync(join(box.base, "node")).filter((name) => name.includes(".tmp."))).toEqual([]);
  },
);

test("a registry that cannot be reached: the installer's words; what is installed already needs none", async () => {
  settings(box, { npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0" });
  const { text } = await refused({ ".npmrc": "audit=false\n" });
  expect(text).toContain("ECONNREFUSED");
  expect(ended(await box.dp("rollback", box.app))).toBe("0");
  live = box.link("current")!;
  await expectLive(live);
});
