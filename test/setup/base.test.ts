// The base of an app: who may read and write what, made once and put right afterwards.
import { expect, test } from "bun:test";
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closeParents } from "../../lib/host/closed.ts";
import { setupBase } from "../../lib/setup/base.ts";
import type { DpError } from "../../lib/errors.ts";
import { places } from "../../lib/paths.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { idsOf } from "../../lib/host/users.ts";
import { useServer } from "../support/core-server.ts";

useServer();
const asRoot = process.getuid!() === 0;
const modes = (app: string) => {
  const { base, releases, runs, logs, shared, home, instances } = places(app);
  const kept = { queue: join(base, "queue"), venvs: join(base, "venvs"), node: join(base, "node") };
  const folders = { base, releases, runs, logs, shared, home, instances, ...kept };
  return Object.fromEntries(
    Object.entries(folders).map(([name, path]) => [name, (statSync(path).mode & 0o7777).toString(8)]),
  );
};
const MODES = {
  base: "755",
  releases: "755",
  runs: "700",
  logs: "750",
  shared: "750",
  home: "710",
  instances: "751",
  queue: "700",
  venvs: "750",
  node: "750",
};

test("folders have their modes whatever the umask, and a second time changes nothing", async () => {
  const umask = process.umask(0o077);
  try {
    expect(await setupBase(namedApp("one"), undefined)).toEqual([`made ${places("one").base}`]);
  } finally {
    process.umask(umask);
  }
  expect(modes("one")).toEqual(MODES);
  expect(await setupBase(namedApp("one"), undefined)).toEqual([]);
});

test("what was opened to others is closed again, and that is said", async () => {
  await setupBase(namedApp("two"), undefined);
  chmodSync(places("two").runs, 0o777);
  rmSync(places("two").shared, { recursive: true });
  expect(await setupBase(namedApp("two"), undefined)).toEqual([`corrected mode and owner of ${places("two").runs}`]);
  expect(modes("two")).toEqual(MODES);
});

test("a file in place of a folder is refused and stays", async () => {
  mkdirSync(places("three").base, { recursive: true });
  writeFileSync(places("three").runs, "kept");
  const error = (await setupBase(namedApp("three"), undefined).catch((thrown: unknown) => thrown)) as DpError;
  expect(String(error)).toContain(places("three").runs);
  expect([error.exit, error.hint]).toEqual(["host", expect.stringContaining(`mv ${places("three").runs}`)]);
  expect(lstatSync(places("three").runs).isFile()).toBe(true);
});

test.skipIf(!asRoot)("only shared and home are the app's, and nothing of dp's is", async () => {
  const [uid] = await idsOf("daemon");
  await setupBase(namedApp("four"), "daemon");
  const { base, releases, runs, instances, shared, home } = places("four");
  expect([shared, home].map((path) => statSync(path).uid)).toEqual([uid, uid]);
  expect([base, releases, runs, instances].map((path) => statSync(path).uid)).toEqual([0, 0, 0, 0]);
  chownSync(runs, uid, uid);
  expect(await setupBase(namedApp("four"), "daemon")).toEqual([`corrected mode and owner of ${runs}`]);
  expect(statSync(runs).uid).toBe(0);
});

test.skipIf(!asRoot)("dependencies are root's, and only the app's group gets there", async () => {
  const [, gid] = await idsOf("daemon");
  await setupBase(namedApp("six"), "daemon");
  const folders = ["venvs", "node"].map((name) => join(places("six").base, name));
  const stats = () =>
    folders.map((path) => statSync(path)).map(({ uid, gid: group, mode }) => [uid, group, mode & 0o7777]);
  expect(stats()).toEqual([
    [0, gid, 0o750],
    [0, gid, 0o750],
  ]);
  // As an earlier dp made them.
  for (const path of folders) chownSync(path, 0, 0);
  for (const path of folders) chmodSync(path, 0o755);
  expect(await setupBase(namedApp("six"), "daemon")).toEqual(
    folders.map((path) => `corrected mode and owner of ${path}`),
  );
  expect(stats()).toEqual([
    [0, gid, 0o750],
    [0, gid, 0o750],
  ]);
});

test.skipIf(!asRoot)("shared stays root's where containers are shown what is in it", async () => {
  const [, gid] = await idsOf("daemon");
  const { shared } = places("five");
  await setupBase(namedApp("five"), "nobody");
  await closeParents(shared, [], "nobody");
  await setupBase(namedApp("five"), "daemon");
  const { uid, gid: group, mode } = statSync(shared);
  expect([uid, group, mode & 0o7777]).toEqual([0, gid, 0o750]);
  // What somebody else made as root is the app's.
  chownSync(shared, 0, 0);
  expect(await setupBase(namedApp("five"), "daemon")).toEqual([`corrected mode and owner of ${shared}`]);
});
