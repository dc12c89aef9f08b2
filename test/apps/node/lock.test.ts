// Which package manager a commit means, and in which version.
import { expect, test } from "bun:test";
import type { DpError } from "../../../lib/errors.ts";
import { readPackageManager } from "../../../lib/apps/node/lock.ts";
import { parsePackage } from "../../../lib/apps/node/package.ts";
import { memoryTree, pkg } from "./support.ts";

const BERRY = (version: number) => `# yarn\n\n__metadata:\n  version: ${version}\n  cacheKey: 10c0\n`;
const manager = (files: Record<string, string>, more: Record<string, unknown> = {}) =>
  readPackageManager(memoryTree(files), parsePackage(pkg(more)));
const refusal = (promise: Promise<unknown>): Promise<DpError> =>
  promise.then(
    () => Promise.reject(new Error("accepted")),
    (error: DpError) => error,
  );

test.each<[string, string, string, string]>([
  ["package-lock.json", "{}", "npm", "*"],
  ["npm-shrinkwrap.json", "{}", "npm", "*"],
  ["pnpm-lock.yaml", "lockfileVersion: '9.0'\n", "pnpm", ">=9"],
  ["pnpm-lock.yaml", "lockfileVersion: '6.0'\n", "pnpm", "8"],
  ["pnpm-lock.yaml", "lockfileVersion: 5.4\n", "pnpm", ">=6 <8"],
  ["yarn.lock", "# yarn lockfile v1\n", "yarn", "1"],
  ["yarn.lock", BERRY(8), "berry", ">=4"],
  ["yarn.lock", BERRY(6), "berry", "3"],
  ["bun.lock", "{}", "bun", "*"],
  ["bun.lockb", "", "bun", "*"],
])("%s with %j: %s %s", async (path, text, kind, range) => {
  const found = await manager({ [path]: text });
  expect(found).toMatchObject({ kind, range, pinned: null, hash: null, lock: { path, text }, warning: null });
});

test("without a lock file it is npm", async () => {
  expect(await manager({})).toMatchObject({ kind: "npm", lock: null });
  expect(await readPackageManager(memoryTree({}), null)).toMatchObject({ kind: "npm" });
});

test("packageManager decides, with its hash, and yarn's version decides which yarn", async () => {
  const lock = { "pnpm-lock.yaml": "lockfileVersion: '9.0'" };
  expect(await manager(lock, { packageManager: "pnpm@9.1.0+sha512.abc" })).toMatchObject({
    ...{ kind: "pnpm", pinned: "9.1.0", hash: "sha512.abc" },
  });
  expect(await manager({}, { packageManager: "yarn@4.1.0" })).toMatchObject({
    kind: "berry",
    name: "yarn",
    lock: null,
  });
  expect(await manager({}, { packageManager: "yarn@1.22.22" })).toMatchObject({ kind: "yarn" });
});

test("of several lock files packageManager's is used, else the first of pnpm, yarn, bun, npm, and it is said", async () => {
  const files = { "package-lock.json": "{}", "yarn.lock": "", "bun.lock": "" };
  const first = await manager(files);
  expect(first).toMatchObject({ kind: "yarn" });
  expect(first.warning).toBe(
    "yarn.lock and bun.lock and package-lock.json: yarn.lock is used, choose one in package.json: packageManager",
  );
  const named = await manager(files, { packageManager: "npm@10.9.0" });
  expect(named).toMatchObject({ kind: "npm", lock: { path: "package-lock.json" } });
  expect(named.warning).toEndWith("package-lock.json is used, as packageManager says");
  expect((await manager({ "bun.lock": "", "bun.lockb": "" })).warning).toBeNull();
});

test("packageManager without its lock file, and one that is no version, are refused", async () => {
  const other = await refusal(manager({ "yarn.lock": "" }, { packageManager: "pnpm@9.1.0" }));
  expect(other).toMatchObject({
    exit: "config",
    message: expect.stringContaining("packageManager pnpm, but the lock file is yarn.lock"),
  });
  for (const packageManager of ["pnpm", "pnpm@9", "cnpm@9.0.0", "pnpm@latest", "pnpm@9.1.0+md5.00", "pnpm@9.1.0+build"])
    expect(await refusal(manager({}, { packageManager }))).toMatchObject({ exit: "config" });
});

test("a lock file that is a link is refused: what an installer reads through it is not in the commit", async () => {
  const tree = { ...memoryTree({}), list: async () => [{ path: "package-lock.json", kind: "symlink" as const }] };
  expect(await refusal(readPackageManager(tree, null))).toMatchObject({
    exit: "config",
    message: expect.stringContaining("symbolic link"),
  });
});

test.each(["", "[]", "{", '"x"'])("package.json %j is refused", (text) => {
  expect(() => parsePackage(text)).toThrow(/^package\.json: /);
});

test("fields of a wrong type count as missing", () => {
  expect(
    parsePackage('{"name": 1, "scripts": ["x"], "workspaces": {"packages": ["a", 2]}, "config": {"port": 80}}'),
  ).toMatchObject({
    ...{ name: undefined, scripts: {}, workspaces: ["a"], config: { port: "80" } },
  });
});
