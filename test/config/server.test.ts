// The apps of a server: found by config.yml.
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { deployments, places } from "../../lib/paths.ts";
import { appNames, readServer } from "../../lib/config/server.ts";
import { makeApp, useServer, type App } from "../support/core-server.ts";

useServer();
let app: App;
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("a server without apps has none", async () => {
  expect(await appNames()).toEqual([]);
  expect((await errorOf(readServer(places("shop"))))?.hint).toBe("dp setup shop");
});

test("an app is a folder with a config.yml", async () => {
  app = await makeApp();
  mkdirSync(join(deployments(), "half"));
  writeFileSync(join(deployments(), "file"), "");
  expect(await appNames()).toEqual([app.app]);
  expect((await readServer(app)).port).toBe(app.port);
});

test("a name that is nearly right is proposed", async () => {
  const error = await errorOf(readServer(places(`${app.app}x`)));
  expect([error?.exit, error?.hint]).toEqual(["usage", `did you mean "${app.app}"?`]);
  expect(error?.lines).toEqual([`there is ${app.app}`]);
});

test("a config.yml that is wrong is told with its place", async () => {
  const other = await makeApp();
  writeFileSync(other.config, "port: eighty\nmanager: builtin\n");
  const error = await errorOf(readServer(other));
  expect(error?.exit).toBe("config");
  expect(error?.lines.join("\n")).toContain(`${other.config}:1`);
});
