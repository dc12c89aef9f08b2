// check and verify: the new instance answers for itself, before the switch and once more after it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import builtin from "../../lib/managers/builtin.ts";
import { until } from "../managers/contract.ts";
import { endInstances, makeApp, runSteps, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("a healthy instance is noted with its process and time, twice the same", async () => {
  const { id, context } = await makeRelease(app, 1);
  await runSteps(context, "start", "check");
  const { facts } = await load(context);
  const { pid } = await builtin.status({ app: app.app, id });
  expect(facts).toMatchObject({ pid, downtime: null });
  expect(Date.parse(String(facts["healthyAt"]))).toBeGreaterThanOrEqual(Date.parse(String(facts["startedAt"])));
  await runSteps(context, "check");
  expect((await load(context)).facts["pid"]).toBe(pid!);
});

test("the time without an instance is counted and said", async () => {
  await makeLive(app, 1);
  const { context } = await makeRelease(app, 2);
  await runSteps(context, "start", "check", "swap");
  const { downtime } = (await load(context)).facts;
  expect(downtime).toBeNumber();
  expect((await runSteps(context, "verify"))[0]).toMatch(/healthy for 0.0 s; strategy restart: down for \d+\.\d s/);
});

test("an instance that dies is unhealthy, with its last words", async () => {
  const { context } = await makeRelease(app, 1, { source: 'console.log("no database"); process.exit(3);' });
  await runSteps(context, "start");
  const error = await errorOf(runSteps(context, "check"));
  expect(error?.exit).toBe("unhealthy");
  expect(error?.message).toContain("is not running: exited with code 3");
  expect(error?.lines).toContain("no database");
  const { facts } = await load(context);
  expect([facts["pid"], facts["healthyAt"]]).toEqual([undefined, undefined]);
});

test("one that dies after the check is found by verify", async () => {
  const { id, context } = await makeRelease(app, 1);
  await runSteps(context, "start", "check", "swap");
  const { pid } = await builtin.status({ app: app.app, id });
  process.kill(pid!, "SIGKILL");
  await until("it is gone", async () => (await builtin.status({ app: app.app, id })).pid !== pid);
  expect((await errorOf(runSteps(context, "verify")))?.exit).toBe("unhealthy");
});
