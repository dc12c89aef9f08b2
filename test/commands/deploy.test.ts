// dp deploy, rollback, resume, releases, status, logs: the days of an app, told by what dp answers.
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ReleaseRow } from "../../lib/commands/releases.ts";
import type { Status } from "../../lib/commands/status.ts";
import { busiestFirst } from "../../lib/commands/reconcile.ts";
import { relayFolder } from "../../lib/fronts/relay.ts";
import { stopSupervisedRelay } from "../../lib/fronts/relay/supervised.ts";
import { openApp } from "../../lib/release/app.ts";
import { load, save } from "../../lib/pipeline/run-file.ts";
import { envFile } from "../../lib/config/env-file.ts";
import {
  commit,
  deployYml,
  endInstances,
  makeApp,
  runDp,
  SERVER,
  useServer,
  type App,
} from "../support/core-server.ts";
import { makeRelease } from "../support/core-release.ts";
import { until } from "../managers/contract.ts";

useServer();
const answer = async (app: App) => (await fetch(`http://127.0.0.1:${app.port}/`)).text();
const files = (app: App, more = "", source = SERVER) => ({
  "deploy.yml": deployYml(app.app, more),
  "server.ts": source,
});
const rows = async (app: App) => JSON.parse((await runDp(["releases", app.app, "--json"])).out) as ReleaseRow[];
const status = async (app: App) => JSON.parse((await runDp(["status", app.app, "--json"])).out) as Status;

describe("one app", () => {
  let app: App;
  let ids: string[] = [];
  beforeAll(async () => {
    app = await makeApp();
    writeFileSync(envFile(app.base, "production"), "SECRET=never-shown-anywhere\n", { mode: 0o600 });
  });

  test("before its first deploy has nothing, and says what to type", async () => {
    expect((await runDp(["releases", app.app])).out).toBe("no deploy yet\n");
    expect((await runDp(["status", app.app])).out).toContain("nothing yet: push to deploy");
    expect(await runDp(["rollback", app.app])).toMatchObject({
      code: 2,
      err: expect.stringContaining("no good release"),
    });
    expect(await runDp(["resume", app.app])).toMatchObject({ code: 4, err: expect.stringContaining("no run yet") });
    expect((await runDp(["logs", app.app])).code).toBe(2);
    expect((await runDp(["logs", app.app, "--deploy"])).err).toContain("no deploy yet");
  }, 30_000);

  test("is deployed twice, and each time the new release serves", async () => {
    for (const subject of ["First", "Second"]) {
      await commit(app.repo, files(app), subject);
      const { code, out } = await runDp(["deploy", app.app]);
      expect(code).toBe(0);
      expect(out).toContain(`"${subject}"`);
      expect(out).toMatch(
        /^live: \S+ \S+ at http:\/\/127\.0\.0\.1:\d+, \d+\.\d s in all; requests \d+, failed 0, longest gap \d+ ms$/m,
      );
    }
    const found = await rows(app);
    ids = found.map(({ id }) => id);
    expect(found.map(({ state, isLive, isPrevious, subject }) => [state, isLive, isPrevious, subject])).toEqual([
      ["good", true, false, "Second"],
      ["good", false, true, "First"],
    ]);
    expect(await answer(app)).toBe(ids[0]!);
    expect(await status(app)).toMatchObject({
      live: ids[0],
      previous: ids[1],
      isHealthy: true,
      strays: [],
      deploying: null,
      lastFailure: null,
    });
  }, 60_000);

  test("that fails tells on one screen what, where, what serves and what to type, and no secret", async () => {
    await commit(app.repo, files(app, 'build: echo "key $SECRET"; exit 4\n'), "Break it");
    const { code, out } = await runDp(["deploy", app.app]);
    expect(code).toBe(6);
    expect(out).toContain("FAILED at build: sh -c ");
    expect(out).toContain("exited with code 4");
    expect(out).toContain("  | key ***");
    expect(out).toContain(`serving: ${ids[0]}, as before`);
    expect(out).toMatch(/^log: \S+\.log$/m);
    expect(out).toMatch(/^next: /m);
    expect(await answer(app)).toBe(ids[0]!);
    expect((await status(app)).lastFailure?.error).toContain("exited with code 4");
    const logged = await runDp(["logs", app.app, "--deploy"]);
    expect(logged.out).toContain("FAILED at build");
    for (const name of readdirSync(app.logs))
      expect(await Bun.file(join(app.logs, name)).text()).not.toContain("never-shown");
  }, 60_000);

  test("whose newest deploy failed can be resumed, and fails again the same way", async () => {
    const before = (await rows(app)).length;
    expect((await runDp(["resume", app.app])).code).toBe(6);
    expect((await rows(app)).length).toBe(before);
    expect(await runDp(["resume", app.app, "--from", "biuld"])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean "build"?'),
    });
  }, 60_000);

  test("goes back without arguments, and names refuse what is no good release", async () => {
    const failed = (await rows(app))[0]!;
    expect((await runDp(["rollback", app.app, failed.id])).err).toContain(`${failed.id} is failed`);
    expect((await runDp(["rollback", app.app, ids[0]!])).err).toContain("is already live");
    expect((await runDp(["rollback", app.app, "99"])).err).toContain('no release "99"');
    expect((await runDp(["rollback", app.app])).code).toBe(0);
    expect(await answer(app)).toBe(ids[1]!);
    const [newest] = await rows(app);
    expect(newest).toMatchObject({ kind: "rollback", release: ids[1], state: "good", isLive: false });
    expect((await runDp(["rollback", app.app, newest!.id])).err).toContain("is a rollback, not a release");
    expect((await runDp(["rollback", app.app])).code).toBe(2);
    expect((await runDp(["rollback", app.app, ids[0]!.split("-")[0]!])).code).toBe(0);
    expect(await answer(app)).toBe(ids[0]!);
  }, 60_000);

  test("shows what the live release says", async () => {
    const { out } = await runDp(["logs", app.app, "-n", "1"]);
    expect(out).toMatch(/^\d{4}-\d\d-\d\dT\S+Z web\[\d+-\w{7}\]: serving\n$/);
    expect((await runDp(["logs", app.app, "--lines", "x"])).code).toBe(2);
  }, 30_000);

  test("that is complete has nothing to resume", async () => {
    expect((await runDp(["resume", app.app])).code).toBe(0);
  }, 30_000);

  test("can be asked for as text", async () => {
    const { out } = await runDp(["status"]);
    expect(out).toContain(`live       ${ids[0]}`);
    expect(out).toContain("health     healthy: 200");
    expect((await runDp(["releases", app.app])).out).toMatch(/^RELEASE +STATE +WHEN +TOOK +BY +WHAT$/m);
    expect(await runDp(["reconcile", app.app])).toMatchObject({ code: 0, out: `${app.app}: nothing to do\n` });
  }, 30_000);
});

test("a run that was superseded has nothing to go on with; a removed release is told from an unknown one", async () => {
  const app = await makeApp();
  await makeRelease(app, 1, { state: "good" });
  await Bun.$`rm -r ${join(app.releases, "1-aaaaaaa")}`.quiet();
  await makeRelease(app, 2, { state: "superseded" });
  expect((await runDp(["resume", app.app])).err).toContain("2-aaaaaaa was superseded");
  expect((await runDp(["rollback", app.app, "1"])).err).toContain("1-aaaaaaa was removed to make room");
  expect((await runDp(["rollback", app.app, "2"])).err).toContain("2-aaaaaaa is superseded");
  await makeRelease(app, 3, { state: "good", kind: "rollback" });
  await makeRelease(app, 4, { state: "good" });
  // A rollback has no files of its own that could go.
  expect((await rows(app)).map(({ id, state }) => `${id} ${state}`)).toEqual([
    "4-aaaaaaa good",
    "3-aaaaaaa good",
    "2-aaaaaaa superseded",
    "1-aaaaaaa pruned",
  ]);
  expect((await runDp(["releases", app.app])).out).toMatch(/^1-aaaaaaa +pruned /m);
  rmSync(app.config); // nothing is live in it, which is wrong: no other test shall find it
}, 30_000);

test("a run took what its steps took, not the hours until it was gone on with", async () => {
  const app = await makeApp();
  const { context } = await makeRelease(app, 1, { state: "good" });
  const run = await load(context);
  const step = (startedAt: string, took: number) => ({ state: "ok" as const, startedAt, took });
  run.journal = { clone: step("2026-03-01T12:01:00Z", 1_500), start: step("2026-03-01T12:59:59Z", 700) };
  await save(context, run);
  expect((await rows(app)).map(({ took }) => took)).toEqual([2_200]);
  expect((await runDp(["releases", app.app])).out).toMatch(/ 2\.2 s +somebody/);
  rmSync(app.config);
}, 30_000);

test("bad apps do not keep reconcile from the others, and each is told of", async () => {
  const [bad, good, worse] = [await makeApp(), await makeApp(), await makeApp()];
  for (const { config } of [bad, worse]) writeFileSync(config, "port: none\n");
  const { code, out, err } = await runDp(["reconcile"]);
  for (const { config, port } of [bad, worse]) writeFileSync(config, `port: ${port}\nmanager: builtin\n`);
  expect(code).toBe(3);
  expect(out).toContain(`${good.app}: nothing to do`);
  for (const { config } of [bad, worse]) expect(err).toContain(config);
}, 30_000);

test("reconcile brings apps back side by side: each of two waits for the other", async () => {
  const apps = [await makeApp(), await makeApp()];
  const mark = (app: App) => join(app.base, "..", `${app.app}.begun`);
  for (const [at, app] of apps.entries()) {
    const other = JSON.stringify(mark(apps[1 - at]!));
    const meet = `const fs = require("node:fs");
      fs.writeFileSync(${JSON.stringify(mark(app))}, "");
      while (!fs.existsSync(${other})) await Bun.sleep(10);\n`;
    writeFileSync(mark(apps[1 - at]!), "");
    await commit(app.repo, files(app, "", meet + SERVER), "Wait for the other");
    expect((await runDp(["deploy", app.app])).code).toBe(0);
  }
  for (const app of apps) {
    await endInstances(app.app);
    rmSync(mark(app));
  }
  const { code, out } = await runDp(["reconcile"]);
  for (const app of apps) expect(out).toMatch(new RegExp(`^${app.app}: started ${app.app}@`, "m"));
  expect(code).toBe(0);
}, 60_000);

test("an app that boots for long does not keep another one from the rest of it", async () => {
  const [slow, quick] = [await makeApp("front: relay"), await makeApp("front: relay")];
  const [go, worked] = [join(slow.base, "go"), join(quick.base, "worked")];
  const wait = `const fs = require("node:fs"); while (!fs.existsSync(${JSON.stringify(go)})) await Bun.sleep(10);\n`;
  writeFileSync(go, "");
  await commit(slow.repo, files(slow, "", wait + SERVER), "Boot slowly");
  await commit(quick.repo, files(quick, `processes:\n  worker: touch ${worked}; exec sleep 1000\n`), "Work");
  for (const { app } of [slow, quick]) expect((await runDp(["deploy", app])).code).toBe(0);
  for (const { app } of [slow, quick]) await endInstances(app);
  for (const file of [go, worked]) rmSync(file);
  await stopSupervisedRelay(relayFolder());
  const done = runDp(["reconcile"]);
  await until("the worker of the other one runs", () => existsSync(worked));
  writeFileSync(go, "");
  const { code, out } = await done;
  for (const { app } of [slow, quick]) expect(out).toMatch(new RegExp(`^${app}: .*started ${app}@`, "m"));
  expect(out).toContain("started the relay");
  for (const each of [slow, quick]) expect(await answer(each)).toMatch(/^1-/);
  expect(code).toBe(0);
}, 60_000);

test("the app whose front has seen most requests is brought back first", async () => {
  const [quiet, busy, without] = [await makeApp("front: relay"), await makeApp("front: relay"), await makeApp()];
  for (const app of [quiet, busy]) {
    await commit(app.repo, files(app), "First");
    expect((await runDp(["deploy", app.app])).code).toBe(0);
  }
  for (let request = 0; request < 20; request++) await answer(busy);
  const names = [without.app, quiet.app, "gone", busy.app];
  const opened = new Map(
    await Promise.all([quiet, busy, without].map(async ({ app }) => [app, await openApp(app)] as const)),
  );
  expect(await busiestFirst(names, opened)).toEqual([busy.app, quiet.app, without.app, "gone"]);
}, 60_000);
