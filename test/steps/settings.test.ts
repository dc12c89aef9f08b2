// The steps of a restart that no deploy has: the live release's files once more, and the settings saved at the end.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, load, save } from "../../lib/pipeline/run-file.ts";
import { envFile, envStamp } from "../../lib/config/env-file.ts";
import { point } from "../../lib/host/link.ts";
import { runFile } from "../../lib/release/history.ts";
import { keepSettings, liveRunOf, secretsOf, settingsFile, settingsOf } from "../../lib/release/settings.ts";
import { prune } from "../../lib/release/prune.ts";
import { makeRelease } from "../support/core-release.ts";
import { endInstances, io, makeApp, runSteps, undo, useServer, type App } from "../support/core-server.ts";
import { treeOf } from "../../lib/host/release-folder.ts";

useServer();
let app: App;
let tree: string;
beforeEach(async () => {
  app = await makeApp();
  tree = (await makeRelease(app, 1, { state: "good" })).id;
  await point(app.current, join(app.releases, tree));
});
afterEach(() => endInstances(app.app));

const file = () => envFile(app.base, "production");
const stamp = () => envStamp(app.base, "production");
async function begun(number: number, more: Record<string, unknown> = {}) {
  const id = `${number}-aaaaaaa`;
  const { app: name, base, repo, server } = app;
  const known = { app: name, base, repo, id, server, kind: "restart", restarts: tree, envBefore: null, ...more };
  await create(runFile(app.own, id), known);
  return { id, context: runFile(app.own, id), release: join(app.releases, id) };
}

describe("reuse", () => {
  test("makes a release out of the live one's files, twice the same; undone there is none", async () => {
    const { id, context, release } = await begun(2);
    for (let times = 0; times < 2; times++) {
      await runSteps(context, "reuse");
      expect(readlinkSync(release)).toBe(tree);
      expect((await load(context)).facts["release"]).toBe(release);
      expect(treeOf(app.releases, id)).toBe(tree);
    }
    for (let times = 0; times < 2; times++) {
      await undo("reuse", context);
      expect([existsSync(release), existsSync(join(app.releases, tree, "server.ts"))]).toEqual([false, true]);
    }
  });

  test("of a restart it uses the same files, not a link to a link", async () => {
    const first = await begun(2);
    await runSteps(first.context, "reuse");
    await point(app.current, first.release);
    const second = await begun(3, { restarts: first.id });
    await runSteps(second.context, "reuse");
    expect(readlinkSync(second.release)).toBe(tree);
    // What is live stays, whoever undoes it.
    await undo("reuse", first.context);
    expect(existsSync(first.release)).toBe(true);
  });

  test("is refused when another release went live meanwhile", async () => {
    const { context } = await begun(2);
    const { release } = await makeRelease(app, 3, { state: "good" });
    await point(app.current, release);
    await expect(runSteps(context, "reuse")).rejects.toMatchObject({ exit: "locked" });
  });

  test("is refused when the settings were changed meanwhile by somebody else", async () => {
    writeFileSync(file(), "A=1\n");
    const { context } = await begun(2, { envBefore: await stamp() });
    writeFileSync(file(), "A=22\n");
    await expect(runSteps(context, "reuse")).rejects.toMatchObject({ exit: "locked" });
    expect(readFileSync(file(), "utf8")).toBe("A=22\n");
  });
});

describe("save-env", () => {
  test("writes what the run brought, twice the same", async () => {
    writeFileSync(file(), "A=1\n", { mode: 0o644 });
    const { id, context } = await begun(2, { envBefore: await stamp() });
    await keepSettings(app.own, id, "A=2 # new\n");
    expect(await settingsOf(app.own, id)).toEqual({ A: "2" });
    for (let times = 0; times < 2; times++) {
      await runSteps(context, "save-env");
      expect(readFileSync(file(), "utf8")).toBe("A=2 # new\n");
      expect(statSync(file()).mode & 0o777).toBe(0o600);
    }
  });

  test("leaves a file alone that somebody else has changed, and says so", async () => {
    writeFileSync(file(), "A=1\n");
    const { id, context } = await begun(2, { envBefore: await stamp() });
    await keepSettings(app.own, id, "A=2\n");
    writeFileSync(file(), "A=theirs\n");
    expect((await runSteps(context, "save-env")).join("\n")).toContain("has changed meanwhile and stays");
    expect(readFileSync(file(), "utf8")).toBe("A=theirs\n");
  });

  test("leaves the file alone when the run brought nothing", async () => {
    writeFileSync(file(), "A=1\n");
    const { context } = await begun(2);
    await runSteps(context, "save-env");
    expect(readFileSync(file(), "utf8")).toBe("A=1\n");
  });
});

test("settings that cannot be read are not kept", async () => {
  await expect(keepSettings(app.own, "2-aaaaaaa", "A = 1\n")).rejects.toMatchObject({ exit: "config" });
  expect(existsSync(settingsFile(app.own, "2-aaaaaaa"))).toBe(false);
});

test("kept settings that cannot be read are left out of what is masked, and nothing ends for them", async () => {
  for (const number of [2, 4]) await keepSettings(app.own, `${number}-aaaaaaa`, `A=${number}\n`);
  writeFileSync(settingsFile(app.own, "3-aaaaaaa"), "not a setting\n");
  mkdirSync(settingsFile(app.own, "5-aaaaaaa"));
  expect(Object.values(await secretsOf(app.own))).toEqual(expect.arrayContaining(["2", "4"]));
});

test("the settings of a run that is being begun stay, for nothing else is known of it yet", async () => {
  const begins = ["2-bbbbbbb", "3-bbbbbbb"];
  for (const run of begins) await keepSettings(app.own, run, "A=new\n");
  await keepSettings(app.own, "1-bbbbbbb", "A=of nobody\n");
  await begun(3);
  await prune({ ...app.own, server: { ...app.server, keep: 2 } }, io);
  expect([...begins, "1-bbbbbbb"].map((run) => existsSync(settingsFile(app.own, run)))).toEqual([true, true, false]);
});

test.each([
  ["after current was moved, and that not noted: with the settings that it brought", 1, "2-aaaaaaa"],
  ["before current was moved: with the settings that it had", 3, "1-aaaaaaa"],
])("a release starts, when its rollback was cut off %s", async (_, live, run) => {
  const rollback = await begun(2, { kind: "rollback", release: join(app.releases, tree) });
  const { facts, version } = await load(rollback.context);
  const journal = { swap: { state: "running" as const, startedAt: "2026-03-01T12:00:00Z" } };
  await save(rollback.context, { version, facts, journal });
  await makeRelease(app, 3, { state: "good" });
  await point(app.current, join(app.releases, `${live}-aaaaaaa`));
  expect(await liveRunOf(app.own, tree)).toBe(run);
});

test("prune counts files, not restarts, and removes links whose files go", async () => {
  const restarts: string[] = [];
  for (let number = 2; number < 6; number++) {
    const { id, context, release } = await begun(number, { restarts: restarts.at(-1) ?? tree });
    await runSteps(context, "reuse");
    const run = await load(context);
    await Bun.write(
      context,
      JSON.stringify({ ...run, result: { state: "good", code: 0, endedAt: "2026-03-01T13:00:00Z" } }),
    );
    await keepSettings(app.own, id, `N=${number}\n`);
    await point(app.current, release);
    restarts.push(id);
  }
  await prune({ ...app.own, server: { ...app.server, keep: 2 } }, io);
  // One tree, of which the live release and the newest of its restarts are left.
  expect(existsSync(join(app.releases, tree, "server.ts"))).toBe(true);
  expect(restarts.map((id) => existsSync(join(app.releases, id)))).toEqual([false, false, true, true]);
  expect(restarts.map((id) => existsSync(settingsFile(app.own, id)))).toEqual([false, false, true, true]);
  for (const number of [6, 7]) await point(app.current, (await makeRelease(app, number, { state: "good" })).release);
  mkdirSync(app.logs, { recursive: true });
  for (const id of [tree, "7-aaaaaaa"]) writeFileSync(join(app.logs, `${id}.app.log`), "said\n");
  await prune({ ...app.own, server: { ...app.server, keep: 2 } }, io);
  expect([tree, ...restarts].filter((id) => existsSync(join(app.releases, id)))).toEqual([]);
  expect(existsSync(join(app.logs, `${tree}.app.log`))).toBe(false);
  expect(existsSync(join(app.logs, "7-aaaaaaa.app.log"))).toBe(true);
});
