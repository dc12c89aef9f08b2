// prune: which releases stay, and that a failure to remove is no failure of the deploy.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import { load, save, type Run } from "../../lib/pipeline/run-file.ts";
import { point } from "../../lib/host/link.ts";
import { runFile, runIds } from "../../lib/release/history.ts";
import { keepSettings, liveRunOf, settingsFile, settingsText } from "../../lib/release/settings.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { readServer } from "../../lib/config/server.ts";
import { commit, endInstances, makeApp, runSteps, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

const server = useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp("keep: 2");
});
afterEach(() => endInstances(app.app));

/** Writes facts into a run file. */
async function name(context: string, facts: Record<string, unknown>): Promise<void> {
  const run = await load(context);
  await save(context, { ...run, facts: { ...run.facts, ...facts } });
}

const kept = () =>
  readdirSync(app.releases)
    .map((name) => Number.parseInt(name, 10))
    .filter((number) => number > 0)
    .sort((a, b) => a - b);

test("the live, the previous, the newest good ones and the newest failed one stay", async () => {
  for (const number of [1, 2, 4, 6, 7, 9]) await makeRelease(app, number, { state: "good" });
  for (const number of [3, 5, 8]) await makeRelease(app, number, { state: "failed" });
  // After a rollback: live and previous are not the newest.
  await point(app.current, join(app.releases, "2-aaaaaaa"));
  await point(app.previous, join(app.releases, "4-aaaaaaa"));
  const { context } = await makeRelease(app, 10, { kind: "rollback", state: "good" });
  const said = await runSteps(context, "prune");
  // 10 is the run at hand.
  expect(kept()).toEqual([2, 4, 7, 8, 9, 10]);
  expect(said[0]).toContain("6 kept, removed 1-aaaaaaa, 3-aaaaaaa, 5-aaaaaaa, 6-aaaaaaa");
  expect((await runSteps(context, "prune"))[0]).toEndWith("6 kept");
});

test("dependencies that no release uses are named as such", async () => {
  await makeRelease(app, 1, { state: "good" });
  const unused = join(app.base, "venvs/303e0a553876f20f");
  mkdirSync(unused, { recursive: true });
  const { context } = await makeRelease(app, 2);
  expect((await runSteps(context, "prune"))[0]).toEndWith("kept, removed the dependencies 303e0a553876f20f");
  expect(existsSync(unused)).toBe(false);
});

test("failed releases do not push good ones out", async () => {
  await makeRelease(app, 1, { state: "good" });
  await makeRelease(app, 2, { state: "good" });
  for (const number of [3, 4, 5, 6]) await makeRelease(app, number, { state: "failed" });
  await makeRelease(app, 7, { state: "superseded" });
  const { context } = await makeRelease(app, 8);
  await runSteps(context, "prune");
  expect(kept()).toEqual([1, 2, 6, 8]);
});

test("what runs stays, though no link names it, and so does what is under way", async () => {
  const running = await makeLive(app, 1);
  await point(app.current, null);
  for (const number of [2, 3, 4]) await makeRelease(app, number, { state: "good" });
  const { context } = await makeRelease(app, 5);
  await runSteps(context, "prune");
  expect(existsSync(running.release)).toBe(true);
  expect(kept()).toEqual([1, 3, 4, 5]);
});

test("the release stays that a rollback which waits for its turn goes back to, with its settings; and a restart's", async () => {
  for (const number of [1, 2, 3, 4, 5]) await makeRelease(app, number, { state: "good" });
  const waiting = await makeRelease(app, 6, { kind: "rollback" });
  const restart = await makeRelease(app, 7);
  await name(waiting.context, { release: join(app.releases, "1-aaaaaaa") });
  await name(restart.context, { kind: "restart", restarts: "2-aaaaaaa", release: undefined });
  for (const { id } of [waiting, restart]) await keepSettings(app.own, id, "A=1\n");
  const { context } = await makeRelease(app, 8);
  await runSteps(context, "prune");
  expect(kept()).toEqual([1, 2, 4, 5, 6, 7, 8]);
  for (const { id } of [waiting, restart]) expect(await settingsText(app.own, id)).toBe("A=1\n");
});

test("names that dp never made are left alone, and named", async () => {
  const { context } = await makeRelease(app, 1);
  for (const name of ["backup", "2-AAAAAAA", "03-aaaaaaa", ".cache"]) mkdirSync(join(app.releases, name));
  const said = (await runSteps(context, "prune")).join("\n");
  for (const name of ["backup", "2-AAAAAAA", "03-aaaaaaa", ".cache"]) {
    expect(existsSync(join(app.releases, name))).toBe(true);
    expect(said).toContain(`! releases/${name} is not from dp and was left alone`);
  }
});

test("a release without any run file has nobody to answer for it, and goes", async () => {
  mkdirSync(join(app.releases, "1-bbbbbbb/sub"), { recursive: true });
  const { context } = await makeRelease(app, 2);
  await runSteps(context, "prune");
  expect(kept()).toEqual([2]);
});

test("folders without any permission go all the same", async () => {
  const { release } = await makeRelease(app, 1, { state: "superseded" });
  mkdirSync(join(release, "closed/deeper"), { recursive: true });
  chmodSync(join(release, "closed"), 0);
  const { context } = await makeRelease(app, 2);
  await runSteps(context, "prune");
  expect(kept()).toEqual([2]);
});

test("what cannot be removed is a warning, and the deploy is good", async () => {
  const { release } = await makeRelease(app, 1, { state: "superseded" });
  const outside = server.path("outside");
  renameSync(release, outside);
  symlinkSync(outside, release);
  writeFileSync(join(outside, "kept"), "");
  const { context } = await makeRelease(app, 2);
  const said = await runSteps(context, "prune");
  expect(said.join("\n")).toContain("! old releases could not be removed: ");
  expect(readdirSync(outside)).toContain("kept");
  expect((await load(context)).journal["prune"]?.state).toBe("ok");
});

describe("of deploys long gone", () => {
  const OLD = 1200;
  const idOf = (number: number) => `${number}-aaaaaaa`;
  const refs = () => {
    const argv = ["git", "--git-dir", app.repo, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/dp"];
    return Bun.spawnSync(argv, { env: plainEnv() }).stdout.toString().split("\n").filter(Boolean);
  };
  /** What is left of the past: its numbers in the folder of run files, of settings, of logs, and among the refs. */
  const records = () => {
    const numbers = (names: string[], end: string) =>
      names
        .filter((name) => name.endsWith(end))
        .map((name) => Number.parseInt(name, 10))
        .sort((a, b) => a - b);
    const runs = readdirSync(app.runs);
    return [numbers(runs, ".json"), numbers(runs, ".env"), numbers(readdirSync(app.logs), ".log"), numbers(refs(), "")];
  };
  const past = (number: number, run: Run) => {
    writeFileSync(runFile(app.own, idOf(number)), JSON.stringify(run), { mode: 0o600 });
    // Of most only the run file: files are what takes the time.
    if (number > 100 && number < OLD - 20) return;
    writeFileSync(settingsFile(app.own, idOf(number)), "A=1\n", { mode: 0o600 });
    writeFileSync(join(app.logs, `${idOf(number)}.log`), "said\n");
  };

  test("the newest stay, those of kept releases besides, and the settings that these ran with", async () => {
    writeFileSync(app.config, "keepLogs: 20\n", { flag: "a" });
    const own = { ...app, server: await readServer(app) };
    const sha = await commit(app.repo, { file: "x" });
    mkdirSync(app.logs, { recursive: true });
    const live = await makeRelease(own, 1, { state: "good" });
    await point(app.current, live.release);
    const old = await load(live.context);
    const bad: Run = { ...old, result: { state: "failed", code: 7, endedAt: "2026-03-01T13:00:00Z" } };
    for (let number = 2; number <= OLD; number++)
      past(number, { ...bad, facts: { ...bad.facts, id: idOf(number), release: join(app.releases, idOf(number)) } });
    past(1, old);
    // A rollback by which the live release got its settings, and one before that.
    for (const number of [70, 71])
      past(number, { ...old, facts: { ...old.facts, id: idOf(number), kind: "rollback" } });
    const packed = Array.from({ length: OLD }, (_, index) => idOf(index + 1)).sort();
    const lines = packed.map((id) => `${sha} refs/dp/${id}\n`).join("");
    writeFileSync(join(app.repo, "packed-refs"), `# pack-refs with: peeled fully-peeled sorted \n${lines}`);
    const { context } = await makeRelease(own, OLD + 1);
    expect((await runSteps(context, "prune")).join("\n")).toContain(`removed the logs of ${OLD + 1 - 22} old deploys`);
    const newest = Array.from({ length: 20 }, (_, index) => OLD - 18 + index);
    const [runs, settings, logs, named] = records();
    expect(runs).toEqual([1, 71, ...newest]);
    expect(logs).toEqual([1, 71, ...newest.slice(0, -1)]);
    expect(named).toEqual([1, 71, ...newest.slice(0, -1)]);
    // Settings are kept for releases that can be gone back to, and of the newest failure.
    expect(settings).toEqual([1, 71, OLD]);
    expect(await liveRunOf(app.own, idOf(1))).toBe(idOf(71));
    expect((await runSteps(context, "prune"))[0]).not.toContain("logs");
    // The next one has a number that none ever had.
    writeFileSync(join(app.base, "counter"), "");
    expect((await begin(app.own, sha)).id).toStartWith(`${OLD + 2}-`);
    expect((await runIds(app.own)).length).toBe(23);
  }, 60_000);

  test("what cannot be removed is a warning, and is tried again the next time", async () => {
    const config = `${app.config}`;
    writeFileSync(config, "keepLogs: 10\n", { flag: "a" });
    const own = { ...app, server: await readServer(app) };
    mkdirSync(app.logs, { recursive: true });
    for (let number = 1; number <= 13; number++) await makeRelease(own, number, { state: "superseded" });
    const { context } = await makeRelease(own, 14);
    const locked = join(app.repo, "packed-refs.lock");
    writeFileSync(join(app.repo, "packed-refs"), "# pack-refs with: peeled fully-peeled sorted \n");
    writeFileSync(locked, "");
    expect((await runSteps(context, "prune")).join("\n")).toContain("! old releases could not be removed: git");
    expect((await runIds(app.own)).length).toBe(14);
    rmSync(locked);
    await runSteps(context, "prune");
    expect((await runIds(app.own)).length).toBe(10);
  });
});
