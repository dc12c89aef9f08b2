// The instances of an app: the port, the strays, and what follows from current.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { DpError } from "../../lib/errors.ts";
import { requireFreePort, serveAgain, stopOthers } from "../../lib/release/instances.ts";
import { point } from "../../lib/host/link.ts";
import builtin from "../../lib/managers/builtin.ts";
import { reconcile } from "../../lib/release/reconcile.ts";
import { until } from "../managers/contract.ts";
import { endInstances, io, makeApp, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

const running = () => builtin.instances(app.app);
const answer = async () => (await fetch(`http://127.0.0.1:${app.port}/`)).text();
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

describe("the port", () => {
  test("is free, or held by the app itself", async () => {
    await requireFreePort(app.own, app.port);
    const { id } = await makeLive(app, 1);
    await until("it answers", async () => (await answer().catch(() => null)) === id);
    await requireFreePort(app.own, app.port);
  });

  test("held by another app is refused, with its process", async () => {
    const other = await makeApp();
    const { id } = await makeLive({ ...other, port: app.port, server: { ...other.server, port: app.port } }, 1);
    await until("it answers", async () => (await answer().catch(() => null)) === id);
    const { pid } = await builtin.status({ app: other.app, id });
    const error = await errorOf(requireFreePort(app.own, app.port));
    expect([error?.exit, error?.hint]).toEqual(["host", expect.stringContaining(`dp setup ${app.app} --port`)]);
    expect(error?.message).toContain(`port ${app.port} is held by pid ${pid} (`);
    await endInstances(other.app);
  });
});

test("all but one are stopped, and named", async () => {
  expect(await stopOthers(app.own, [], io)).toEqual([]);
  const one = await makeLive(app, 1, { config: { command: "exec sleep 1000" } });
  const two = await makeLive(app, 2, { config: { command: "exec sleep 1000" } });
  expect(await stopOthers(app.own, [two.id], io)).toEqual([one.id]);
  expect(await running()).toEqual([two.id]);
  expect(await stopOthers(app.own, [two.id], io)).toEqual([]);
  expect((await builtin.status({ app: app.app, id: one.id })).state).toBe("stopped");
});

test("a release that runs is not started again, only asked", async () => {
  const { id } = await makeLive(app, 1);
  const { pid } = await builtin.status({ app: app.app, id });
  await serveAgain(app.own, id, io);
  expect((await builtin.status({ app: app.app, id })).pid).toBe(pid);
});

describe("reconcile", () => {
  test("has nothing to do where nothing runs and nothing is live", async () => {
    expect(await reconcile(app.own, io)).toEqual([]);
  });

  test("starts what is live, stops what is not, and the second time does nothing", async () => {
    const stray = await makeLive(app, 2, { config: { command: "exec sleep 1000" } });
    const live = await makeRelease(app, 1, { state: "good" });
    await point(app.current, live.release);
    const changes = await reconcile(app.own, io);
    expect(changes).toEqual([
      `stopped ${app.app}@${stray.id}, which is not live`,
      `started ${app.app}@${live.id}`,
      `enabled ${app.app}@${live.id}`,
    ]);
    expect([await running(), await answer()]).toEqual([[live.id], live.id]);
    expect(await reconcile(app.own, io)).toEqual([]);
  });

  test("leaves nothing running and nothing enabled when nothing is live", async () => {
    const { context } = await makeLive(app, 1);
    await point(app.current, null);
    rmSync(context);
    expect(await reconcile(app.own, io)).toEqual([
      `stopped ${app.app}@1-aaaaaaa, which is not live`,
      "enabled nothing",
    ]);
    expect(await running()).toEqual([]);
    expect(await reconcile(app.own, io)).toEqual([]);
  });

  test("changes nothing when current is lost and a good release is there", async () => {
    const { id } = await makeLive(app, 1);
    await point(app.current, null);
    const error = await reconcile(app.own, io).catch((thrown: unknown) => thrown);
    expect([(error as DpError).exit, (error as DpError).hint]).toEqual([
      "host",
      `the newest good release is ${id}: dp rollback ${app.app} ${id}`,
    ]);
    expect(await running()).toEqual([id]);
    await until("it answers", async () => (await answer().catch(() => null)) === id);
  });

  test("starts a live release that crashed for good", async () => {
    const { id } = await makeLive(app, 1);
    const before = (await builtin.status({ app: app.app, id })).pid;
    await builtin.stop({ app: app.app, id }, io);
    expect(await reconcile(app.own, io)).toEqual([`started ${app.app}@${id}`]);
    expect((await builtin.status({ app: app.app, id })).pid).not.toBe(before);
  });
});
