// What is started before anything else of an app is looked at, and what is not.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { openApp } from "../../lib/release/app.ts";
import { startEarly } from "../../lib/release/early.ts";
import { point } from "../../lib/host/link.ts";
import { keepStopped } from "../../lib/release/processes.ts";
import { reconcile } from "../../lib/release/reconcile.ts";
import builtin from "../../lib/managers/builtin.ts";
import { until } from "../managers/contract.ts";
import { endInstances, io, makeApp, START, useServer, type App } from "../support/core-server.ts";
import { makeRelease, type ReleaseOptions } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp("front: relay");
});
afterEach(() => endInstances(app.app));

/** A release that is live, and does not run. */
async function makeStopped(options: ReleaseOptions = {}) {
  const made = await makeRelease(app, 1, { state: "good", ...options });
  await point(app.current, made.release);
  return made;
}

const status = (id: string) => builtin.status({ app: app.app, id });
const answer = async () => (await fetch(`http://127.0.0.1:${app.port}/`)).text();

test("what is live is started at once, and reconcile does the rest without starting it again", async () => {
  const { id } = await makeStopped();
  const begun = performance.now();
  const early = await startEarly(app.own, io);
  expect([early.live, early.wanted, early.at! > begun]).toEqual([id, [id], true]);
  const { state, pid } = await status(id);
  expect(state).toBe("running");
  const changes = await reconcile(app.own, io, [], early);
  for (const change of [`started ${app.app}@${id}`, `pointed the front at ${app.app}@${id}`])
    expect(changes).toContain(change);
  expect([(await status(id)).pid, await answer()]).toEqual([pid, id]);
  expect((await startEarly(app.own, io)).at).toBeNull();
  expect(await reconcile(app.own, io)).toEqual([]);
}, 30_000);

test("what was stopped by hand is not started", async () => {
  const { id } = await makeStopped();
  await keepStopped(app.own, [id]);
  expect(await startEarly(app.own, io)).toMatchObject({ live: id, wanted: [], at: null });
  expect((await status(id)).state).toBe("stopped");
});

test.each([["strategy: restart"], ["front: none"]])("with %s nothing is started before the rest", async (line) => {
  const { id } = await makeStopped();
  const text = readFileSync(app.config, "utf8").replace(
    "front: relay",
    line === "front: none" ? line : `front: relay\n${line}`,
  );
  writeFileSync(app.config, text, { mode: 0o600 });
  const own = await openApp(app.app);
  expect((await startEarly(own, io)).at).toBeNull();
  expect((await status(id)).state).toBe("stopped");
});

test("with a damaged current nothing is started", async () => {
  const { id, release } = await makeStopped();
  rmSync(release, { recursive: true });
  const error = await startEarly(app.own, io).catch((thrown: unknown) => thrown as DpError);
  expect((error as DpError).message).toContain("dp does not guess");
  expect((await status(id)).state).toBe("stopped");
});

test("what ends at once is waited for no longer, and reconcile tells how it ended", async () => {
  const { id } = await makeStopped({ config: { command: "exit 3" } });
  const early = await startEarly(app.own, io);
  expect(early.at).not.toBeNull();
  const error = await reconcile(app.own, io, [], early).catch((thrown: unknown) => thrown as DpError);
  expect(error).toMatchObject({ exit: "unhealthy", message: expect.stringContaining("exited with code 3") });
  expect((await status(id)).state).not.toBe("running");
}, 30_000);

test("what cannot be started is left to reconcile, which tells why", async () => {
  const { id } = await makeStopped();
  const cannot = { ...app.own, manager: { ...app.own.manager, start: () => Promise.reject(new Error("no room")) } };
  const early = await startEarly(cannot, io);
  expect([early.live, early.at]).toEqual([id, null]);
  const error = await reconcile(cannot, io, [], early).catch((thrown: unknown) => thrown as Error);
  expect((error as Error).message).toBe("no room");
}, 30_000);

test("what boots for long is waited for until it listens", async () => {
  const go = join(app.base, "go");
  const { id } = await makeStopped({ config: { command: `while [ ! -e ${go} ]; do sleep 0.05; done; ${START}` } });
  let isOver = false;
  const early = startEarly(app.own, io).finally(() => (isOver = true));
  await until("it runs", async () => (await status(id)).state === "running");
  expect(isOver).toBe(false);
  writeFileSync(go, "");
  const { at, facts } = await early;
  expect([at !== null, facts?.config.healthCheck === undefined]).toEqual([true, false]);
  await reconcile(app.own, io);
  expect(await answer()).toBe(id);
}, 30_000);
