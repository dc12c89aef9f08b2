// clone: the commit's files and nothing else, whatever an earlier run left there.
import { beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import { load, save } from "../../lib/pipeline/run-file.ts";
import {
  commit,
  giveFacts,
  makeApp,
  runSteps,
  someConfig,
  undo,
  useServer,
  type App,
  type File,
} from "../support/core-server.ts";

const server = useServer();
let app: App;
beforeAll(async () => {
  app = await makeApp();
});

async function begun(files: Record<string, File>) {
  const { id, context } = await begin(app.own, await commit(app.repo, files));
  await giveFacts(context, { config: someConfig(app.app) });
  return { id, context, release: join(app.releases, id) };
}

const FILES: Record<string, File> = {
  "a.txt": "text",
  "run.sh": { executable: "#!/bin/sh\n" },
  "sub/b": "b",
  "sub/link": { link: "../a.txt" },
  "umlaut-ä b": "x",
  "-n": "y",
};

test("the release has every file with its kind and mode, and no git folder", async () => {
  const { context, release } = await begun(FILES);
  await runSteps(context, "clone");
  expect((await load(context)).facts["release"]).toBe(release);
  expect(readdirSync(release).sort()).toEqual(["-n", "a.txt", "run.sh", "sub", "umlaut-ä b"]);
  expect(readFileSync(join(release, "a.txt"), "utf8")).toBe("text");
  expect(lstatSync(join(release, "run.sh")).mode & 0o100).toBe(0o100);
  expect(lstatSync(join(release, "a.txt")).mode & 0o100).toBe(0);
  expect(readlinkSync(join(release, "sub/link"))).toBe("../a.txt");
  expect(lstatSync(release).mode & 0o777).toBe(0o750);
});

test("a second run ends in the same place, also after half of a first one", async () => {
  const { context, release } = await begun(FILES);
  mkdirSync(join(release, "left/over"), { recursive: true });
  writeFileSync(join(release, "a.txt"), "half");
  await runSteps(context, "clone");
  await runSteps(context, "clone");
  expect(readdirSync(release).sort()).toEqual(["-n", "a.txt", "run.sh", "sub", "umlaut-ä b"]);
  expect(readFileSync(join(release, "a.txt"), "utf8")).toBe("text");
});

test("a link in place of the release is not followed", async () => {
  const { context, release } = await begun({ x: "x" });
  const outside = server.path("outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "kept"), "");
  symlinkSync(outside, release);
  await expect(runSteps(context, "clone")).rejects.toThrow();
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test("a commit that is gone is git's failure, and no release", async () => {
  const { context } = await begun({ x: "x" });
  const run = await load(context);
  run.facts["sha"] = "1".repeat(40);
  await save(context, run);
  const error = await runSteps(context, "clone").catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("git --git-dir");
  expect((await load(context)).facts["release"]).toBeUndefined();
  expect((await load(context)).journal["clone"]?.state).toBe("failed");
});

test("undone, the newest failed release stays as evidence and those before it go", async () => {
  const made = [await begun({ x: "1" }), await begun({ x: "2" }), await begun({ x: "3" })];
  for (const { context } of made) await runSteps(context, "clone");
  const [first, second, third] = made.map(({ release }) => release) as [string, string, string];
  for (const { context } of made.slice(0, 2)) {
    const run = await load(context);
    run.result = { state: "failed", code: 7, endedAt: new Date().toISOString() };
    await save(context, run);
  }
  await undo("clone", made[2]!.context);
  expect([first, second, third].map((folder) => existsSync(folder))).toEqual([false, false, true]);
  await undo("clone", made[2]!.context);
  expect((await load(made[2]!.context)).journal["clone"]?.state).toBe("undone");
});

test("undone half done, without a release, there is nothing to do", async () => {
  const { context, release } = await begun({ x: "1" });
  await undo("clone", context);
  expect(existsSync(release)).toBe(false);
});
