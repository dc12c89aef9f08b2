// start: the old instance leaves the port, the new one takes it; undone, the old one serves again.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import builtin from "../../lib/managers/builtin.ts";
import { point } from "../../lib/host/link.ts";
import { endInstances, io, makeApp, runSteps, someConfig, undo, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";
import { until } from "../managers/contract.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

const running = () => builtin.instances(app.app);
const answer = async () => (await fetch(`http://127.0.0.1:${app.port}/`)).text();
const answers = (id: string) => until(`${id} answers`, async () => (await answer().catch(() => null)) === id);
const facts = async (context: string) => (await load(context)).facts;

test("the first release is started on the app's port, and nothing was stopped for it", async () => {
  const { id, context } = await makeRelease(app, 1);
  await runSteps(context, "start");
  await answers(id);
  expect(await facts(context)).toMatchObject({ live: null, port: app.port, stoppedAt: null });
});

test("the old instance is stopped, the new one started, and both is noted", async () => {
  const old = await makeLive(app, 1);
  await answers(old.id);
  const { id, context } = await makeRelease(app, 2);
  await runSteps(context, "start");
  await answers(id);
  expect(await running()).toEqual([id]);
  const found = await facts(context);
  expect(found["live"]).toBe(old.id);
  expect(Date.parse(String(found["stoppedAt"]))).toBeGreaterThan(0);
});

test("a second run ends with one fresh instance, also when the first was cut off", async () => {
  const old = await makeLive(app, 1);
  const { id, context } = await makeRelease(app, 2);
  await runSteps(context, "start");
  const before = (await builtin.status({ app: app.app, id })).pid;
  await runSteps(context, "start");
  expect(await running()).toEqual([id]);
  const { pid } = await builtin.status({ app: app.app, id });
  expect(pid).not.toBe(before);
  expect((await facts(context))["live"]).toBe(old.id);
});

test("a second run after the swap still knows who served before", async () => {
  const old = await makeLive(app, 1);
  const { release, context } = await makeRelease(app, 2);
  await point(app.previous, old.release);
  await point(app.current, release);
  await runSteps(context, "start");
  expect((await facts(context))["live"]).toBe(old.id);
});

test("a port that somebody else holds is refused before the old instance is touched", async () => {
  const server = Bun.serve({ hostname: "127.0.0.1", port: app.port, fetch: () => new Response("other") });
  const { id, context } = await makeRelease(app, 1);
  const error = (await runSteps(context, "start").catch((thrown: unknown) => thrown)) as DpError;
  await server.stop(true);
  expect(error.exit).toBe("host");
  expect(error.message).toStartWith(`port ${app.port} is held by pid ${process.pid} (`);
  expect((await builtin.status({ app: app.app, id })).state).toBe("stopped");
});

test("a stray instance that nobody knows of is stopped as well", async () => {
  const stray = await makeLive(app, 1);
  await point(app.current, null);
  const { id, context } = await makeRelease(app, 2);
  await runSteps(context, "start");
  expect(await running()).toEqual([id]);
  expect(await facts(context)).toMatchObject({ live: null, stoppedAt: null });
  expect((await builtin.status({ app: app.app, id: stray.id })).state).toBe("stopped");
});

test("undone, the old instance serves again, and alone comes up at boot", async () => {
  const old = await makeLive(app, 1);
  const { id, context } = await makeRelease(app, 2);
  await runSteps(context, "start");
  await builtin.enable(app.app, [id], io);
  await undo("start", context);
  expect(await running()).toEqual([old.id]);
  expect(await answer()).toBe(old.id);
  expect(await builtin.enable(app.app, [old.id], io)).toBe(false);
  await undo("start", context);
  expect(await running()).toEqual([old.id]);
});

test("undone half done, when only the old one was stopped, the old one serves again", async () => {
  const old = await makeLive(app, 1);
  const { context } = await makeRelease(app, 2);
  await builtin.stop({ app: app.app, id: old.id }, io);
  await undo("start", context);
  expect(await answer()).toBe(old.id);
});

test("undone on a first deploy, nothing runs", async () => {
  const { context } = await makeRelease(app, 1);
  await runSteps(context, "start");
  await undo("start", context);
  expect(await running()).toEqual([]);
});

test("undone when the release is live, it stays", async () => {
  const { context, release, id } = await makeRelease(app, 1);
  await runSteps(context, "start");
  await point(app.current, release);
  await undo("start", context);
  expect(await running()).toEqual([id]);
  expect(await app.own.live()).toBe(id);
});

test("an old release that is not healthy any more makes the way back fail", async () => {
  const gone = someConfig(app.app).healthCheck!;
  await makeLive(app, 1, { config: { healthCheck: { ...gone, startTimeout: 0 } }, source: "process.exit(5);" });
  const { context } = await makeRelease(app, 2);
  await runSteps(context, "start");
  const error = (await undo("start", context).catch((thrown: unknown) => thrown)) as DpError;
  expect(error.exit).toBe("unhealthy");
});
