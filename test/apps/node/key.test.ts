// What makes another set of modules, what does not, and what is never kept for another release.
import { afterAll, expect, test } from "bun:test";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { modulesKey } from "../../../lib/apps/node/key.ts";
import { readProject, type Runners } from "../../../lib/apps/node/project.ts";
import { cleanUp, lockedApp, memoryTree, pkg, release } from "./support.ts";

afterAll(cleanUp);

const RUNNERS: Runners = {
  main: { name: "node", program: "/n", version: { text: "20.1.0", lts: null }, platform: "linux-x64-115" },
  ...{ bun: null, path: [] },
};

let place: Place;

async function keyOf(
  files: Record<string, string>,
  env: Record<string, string> = {},
  version = "10.0.0",
  runners = RUNNERS,
  settings = "",
) {
  place ??= await release({});
  const own = { ...place, tree: memoryTree(files), env: { ...place.env, ...env } };
  const project = await readProject(own);
  return modulesKey(own, project, { manager: project.manager, argv: [], version, folder: null }, runners, settings);
}

const json = (files: Record<string, string>) => JSON.parse(files["package.json"]!) as Record<string, unknown>;

test("version, scripts, other files and settings that only say how change nothing", async () => {
  const files = await lockedApp("npm");
  const key = await keyOf(files);
  expect(key).toMatch(/^[0-9a-f]{16}$/);
  expect(
    await keyOf({ ...files, "package.json": pkg({ ...json(files), version: "9.9.9", scripts: { start: "x" } }) }),
  ).toBe(key);
  expect(await keyOf({ ...files, "server.js": "1", "docs/package.json": "{}" })).toBe(key);
  for (const name of [
    "npm_config_loglevel",
    "npm_config_cafile_CERT",
    "NODE_EXTRA_CA_CERTS",
    "APP_KEY",
    "NODE_ENV",
    "npm_config__authToken",
  ])
    expect([name, await keyOf(files, { [name]: "x" })]).toEqual([name, key]);
});

test("whatever decides about modules makes another set", async () => {
  const files = await lockedApp("npm");
  const changed = (more: Record<string, unknown>) => ({ ...files, "package.json": pkg({ ...json(files), ...more }) });
  const keys = await Promise.all([
    keyOf(files),
    keyOf({ ...files, "package-lock.json": `${files["package-lock.json"]} ` }),
    keyOf({ ...files, ".npmrc": "omit=optional" }),
    keyOf({ ...files, ".npmrc": "omit=peer" }),
    keyOf({ ...files, "patches/ms+2.1.3.patch": "" }),
    keyOf({ ...files, "patches/ms+2.1.3.patch": "+" }),
    keyOf({ ...files, ".yarn/patches/a.patch": "" }),
    keyOf({ ...files, "prisma/schema.prisma": "model A {}" }),
    keyOf({ ...files, "prisma/schema.prisma": "model B {}" }),
    keyOf({ ...files, "prisma.config.ts": "" }),
    keyOf(changed({ prisma: { schema: "db/schema.prisma" } })),
    keyOf(changed({ overrides: { ms: "2.1.2" } })),
    keyOf(changed({ scripts: { build: "x" } })),
    keyOf(files, { npm_config_legacy_peer_deps: "true" }),
    keyOf(files, { CXXFLAGS: "-O3" }),
    keyOf(files, {}, "11.0.0"),
    keyOf(files, {}, "10.0.0", { ...RUNNERS, main: { ...RUNNERS.main, version: { text: "22.0.0", lts: null } } }),
    keyOf(files, {}, "10.0.0", { ...RUNNERS, main: { ...RUNNERS.main, platform: "linux-arm64-115" } }),
    keyOf(files, {}, "10.0.0", RUNNERS, "/root/.npmrc 1234"),
    keyOf({ ...files, ".npmrc": "omit=${WHAT}" }),
    keyOf({ ...files, ".npmrc": "omit=${WHAT}" }, { WHAT: "optional" }),
    keyOf({ ...files, "bunfig.toml": "[install]\nregistry = '$FROM'" }, { FROM: "a" }),
    keyOf({ ...files, "bunfig.toml": "[install]\nregistry = '$FROM'" }, { FROM: "b" }),
    keyOf(await lockedApp("pnpm")),
  ]);
  expect(keys).not.toContain(null);
  expect(new Set(keys).size).toBe(keys.length);
});

test("a variable that says who asks changes nothing", async () => {
  const files = { ...(await lockedApp("npm")), ".npmrc": "//registry.example/:_authToken=${NPM_TOKEN}" };
  expect(await keyOf(files, { NPM_TOKEN: "a" })).toBe((await keyOf(files, { NPM_TOKEN: "b" }))!);
});

test("packages of a workspace count", async () => {
  const root = { "package.json": pkg({ workspaces: ["packages/*"] }), "package-lock.json": "{}" };
  const member = (more: Record<string, unknown>) => ({
    ...root,
    "packages/a/package.json": pkg({ name: "a", ...more }),
  });
  const keys = await Promise.all([
    keyOf(root),
    keyOf(member({})),
    keyOf(member({ dependencies: { ms: "1" } })),
    keyOf(member({ bin: "x" })),
  ]);
  expect(new Set(keys).size).toBe(keys.length);
  expect(await keyOf(member({ scripts: { test: "x" } }))).toBe(keys[1]!);
  expect(await keyOf(member({ scripts: { prepare: "tsc" } }))).toBeNull();
  expect(await keyOf(member({ dependencies: { b: "file:../b" } }))).toBeNull();
});

test.each([
  ["without a lock file", { "package.json": pkg({ dependencies: { ms: "1" } }) }],
  ["with bun's old binary lock file", { "package.json": pkg({ dependencies: { ms: "1" } }), "bun.lockb": "" }],
  [
    "with a package out of the repository",
    { "package.json": pkg({ dependencies: { a: "file:./a" } }), "package-lock.json": "{}" },
  ],
  [
    "with a link out of the repository",
    { "package.json": pkg({ devDependencies: { a: "link:../a" } }), "pnpm-lock.yaml": "" },
  ],
  [
    "with code that Prisma generates into the app",
    { "package.json": pkg(), "package-lock.json": "{}", "db/a.prisma": 'generator c {\n  output = "../src"\n}' },
  ],
  ["with a path", { "package.json": pkg({ optionalDependencies: { a: "./a.tgz" } }), "package-lock.json": "{}" }],
])("%s nothing is kept", async (_, files) => {
  expect(await keyOf(files as Record<string, string>)).toBeNull();
});
