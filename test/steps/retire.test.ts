// retire: what follows from current is made true, and stays so.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import builtin from "../../lib/managers/builtin.ts";
import { filesOf } from "../../lib/host/supervisor/supervision.ts";
import { endInstances, io, makeApp, runSteps, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

test("the new instance alone comes up at boot, and of the old one nothing is kept", async () => {
  const old = await makeLive(app, 1);
  const { id, context } = await makeRelease(app, 2);
  await runSteps(context, "start", "check", "swap", "verify", "retire");
  expect(await builtin.enable(app.app, [id], io)).toBe(false);
  expect(existsSync(filesOf({ app: app.app, id: old.id }).spec)).toBe(false);
  expect(await builtin.instances(app.app)).toEqual([id]);
  const before = (await builtin.status({ app: app.app, id })).pid;
  expect(await runSteps(context, "retire")).toEqual([expect.stringMatching(/^retire\s+\d+\.\d s$/)]);
  expect((await builtin.status({ app: app.app, id })).pid).toBe(before);
});
