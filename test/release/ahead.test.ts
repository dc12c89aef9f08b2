// What is started ahead of everything else, and what is not.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bringBack } from "../../lib/commands/bring-back.ts";
import type { DpError } from "../../lib/errors.ts";
import { openApp } from "../../lib/release/app.ts";
import { startAhead } from "../../lib/release/ahead.ts";
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
  const known = await startAhead(app.own, io);
  expect(known).toMatchObject({ aim: { live: id, wanted: [id] }, ahead: { failure: null } });
  const { state, pid } = await status(id);
  expect(state).toBe("running");
  const changes = await reconcile(app.own, io, [], known);
  expect(changes[0]).toBe(`started ${app.app}@${id}`);
  expect(changes).toContain(`pointed the front at ${app.app}@${id}`);
  expect(changes.filter((change) => change.startsWith("started ")).length).toBeWithin(1, 3); // the relay, too
  expect([(await status(id)).pid, await answer()]).toEqual([pid, id]);
  expect((await startAhead(app.own, io)).ahead).toBeNull();
  expect(await reconcile(app.own, io)).toEqual([]);
}, 30_000);

test("what was stopped by hand is not started", async () => {
  const { id } = await makeStopped();
  await keepStopped(app.own, [id]);
  expect(await startAhead(app.own, io)).toMatchObject({ aim: { live: id, wanted: [] }, ahead: null });
  expect((await status(id)).state).toBe("stopped");
});

test.each([["strategy: restart"], ["front: none"]])("with %s nothing is started before the rest", async (line) => {
  const { id } = await makeStopped();
  const front = line === "front: none" ? line : `front: relay\n${line}`;
  writeFileSync(app.config, readFileSync(app.config, "utf8").replace("front: relay", front), { mode: 0o600 });
  expect((await startAhead(await openApp(app.app), io)).ahead).toBeNull();
  expect((await status(id)).state).toBe("stopped");
});

test("with a damaged current nothing is started", async () => {
  const { id, release } = await makeStopped();
  rmSync(release, { recursive: true });
  await expect(startAhead(app.own, io)).rejects.toThrow("dp does not guess");
  expect((await status(id)).state).toBe("stopped");
});

test("a manager that does not answer is left to reconcile", async () => {
  const { id } = await makeStopped();
  const status = () => Promise.reject(new Error("it does not answer"));
  const silent = { ...app.own, manager: { ...app.own.manager, status } };
  expect(await startAhead(silent, io)).toMatchObject({ aim: { live: id }, ahead: null });
});

test("what ends at once is waited for no longer, and reconcile tells how it ended", async () => {
  const { id } = await makeStopped({ config: { command: "exit 3" } });
  const known = await startAhead(app.own, io);
  expect(known.ahead).not.toBeNull();
  const error = await reconcile(app.own, io, [], known).catch((thrown: unknown) => thrown as DpError);
  expect(error).toMatchObject({ exit: "unhealthy", message: expect.stringContaining("exited with code 3") });
  expect((await status(id)).state).not.toBe("running");
}, 30_000);

test("what cannot be started is tried once, and reconcile tells why when the front holds its port", async () => {
  await makeStopped();
  let tries = 0;
  const start = () => {
    tries++;
    return Promise.reject(new Error("no room"));
  };
  const full = { ...app.own, manager: { ...app.own.manager, start } };
  const known = await startAhead(full, io);
  expect(known.ahead?.failure).toEqual(new Error("no room"));
  await expect(reconcile(full, io, [], known)).rejects.toThrow("no room");
  expect(tries).toBe(1);
  expect((await app.own.front.status(app.app))?.isListening).toBe(true);
}, 30_000);

test("that it was started is told even when the front cannot hold its port", async () => {
  const { id } = await makeStopped();
  const known = await startAhead(app.own, io);
  const server = Bun.listen({ hostname: "0.0.0.0", port: app.port, socket: { data: () => undefined } });
  const changes: string[] = [];
  try {
    await expect(reconcile(app.own, io, changes, known)).rejects.toThrow(`cannot listen on port ${app.port}`);
    expect(changes).toEqual([`started ${app.app}@${id}`]);
  } finally {
    server.stop(true);
  }
}, 30_000);

test("what boots for long is waited for until it listens", async () => {
  const go = join(app.base, "go");
  const { id } = await makeStopped({ config: { command: `while [ ! -e ${go} ]; do sleep 0.05; done; ${START}` } });
  let isOver = false;
  const started = startAhead(app.own, io).finally(() => (isOver = true));
  await until("it runs", async () => (await status(id)).state === "running");
  expect(isOver).toBe(false);
  writeFileSync(go, "");
  expect((await started).ahead?.failure).toBeNull();
  await reconcile(app.own, io);
  expect(await answer()).toBe(id);
}, 30_000);

test.each(["it runs again", "it is about to"])(
  "an app that has crashed since it was started ahead is well: %s",
  async (when) => {
    const crashed = join(app.base, "crashed");
    const { id } = await makeStopped({
      config: { command: `[ -e ${crashed} ] || { touch ${crashed}; exit 1; }; ${START}` },
    });
    const known = await startAhead(app.own, io);
    await until(when, async () => {
      const { state, restarts } = await status(id);
      return when === "it runs again" ? state === "running" && restarts === 1 : state === "waiting";
    });
    await reconcile(app.own, io, [], known);
    expect(await answer()).toBe(id);
  },
  30_000,
);

test("what changed in config.yml until the lock was taken counts", async () => {
  await makeStopped();
  const failed: unknown[] = [];
  const find = async (name: string) => {
    const found = await openApp(name);
    appendFileSync(app.config, "allow: [192.0.2.0/24]\n");
    return found;
  };
  const done: Record<string, string[]> = {};
  await bringBack([app.app], {
    find,
    done: (name, changes) => (done[name] = changes),
    failed: (error) => failed.push(error),
    warn: () => undefined,
  });
  expect([failed, Object.keys(done)]).toEqual([[], [app.app]]);
  expect((await fetch(`http://127.0.0.1:${app.port}/`)).status).toBe(403);
}, 30_000);
