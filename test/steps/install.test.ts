// install: the app type's own way, its answer a fact for the steps behind it.
import { beforeAll, expect, test } from "bun:test";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import { beginDeploy, makeApp, runSteps, useServer, type App } from "../support/core-server.ts";

useServer();
let app: App;
beforeAll(async () => {
  app = await makeApp();
});

test("an app without dependencies needs nothing of the server, the second time as well", async () => {
  const { context } = await beginDeploy(app);
  await runSteps(context, "read", "clone", "install");
  const { runtime } = (await load(context)).facts;
  expect(runtime).toMatchObject({ path: [], dependencies: null });
  await runSteps(context, "install");
  expect((await load(context)).facts["runtime"]).toEqual(runtime);
});

test("an app with dependencies needs a python, and the lack is told before anything was stopped", async () => {
  const { context } = await beginDeploy(app, "", { "requirements.txt": "flask==3.0.0\n" });
  await runSteps(context, "read", "clone");
  const error = (await runSteps(context, "install").catch((thrown: unknown) => thrown)) as DpError;
  expect(["host", "config"]).toContain(error.exit);
  expect(error.message).toContain("ython");
  expect((await load(context)).facts["runtime"]).toBeUndefined();
});
