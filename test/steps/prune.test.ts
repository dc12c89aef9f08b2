// prune: which releases stay, and that a failure to remove is no failure of the deploy.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load, save } from "../../lib/context.ts";
import { point } from "../../lib/link.ts";
import { keepSettings, settingsText } from "../../lib/release/settings.ts";
import { endInstances, makeApp, runSteps, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

const server = useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp("keep: 2");
});
afterEach(() => endInstances(app.app));

/** Writes facts into a context. */
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
  for (const { id } of [waiting, restart]) await keepSettings(app.app, id, app.server, "A=1\n");
  const { context } = await makeRelease(app, 8);
  await runSteps(context, "prune");
  expect(kept()).toEqual([1, 2, 4, 5, 6, 7, 8]);
  for (const { id } of [waiting, restart]) expect(await settingsText(app.app, id)).toBe("A=1\n");
});

test("names that dp never made are left alone, and named", async () => {
  const { context } = await makeRelease(app, 1);
  for (const name of ["backup", "2-AAAAAAA", "03-aaaaaaa", ".cache"]) mkdirSync(join(app.releases, name));
  const said = (await runSteps(context, "prune")).join("\n");
  for (const name of ["backup", "2-AAAAAAA", "03-aaaaaaa", ".cache"]) {
    expect(existsSync(join(app.releases, name))).toBe(true);
    expect(said).toContain(`! releases/${name} is not dp's and was left alone`);
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
