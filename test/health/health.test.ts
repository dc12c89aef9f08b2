// Whether an instance is healthy: asked of real processes, and only ever believed of its own socket.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";
import { stillHealthy, waitUntilHealthy, type Candidate } from "../../lib/health/health.ts";
import { openAddress } from "../../lib/health/open-address.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { makeBuiltin } from "../../lib/managers/builtin.ts";
import { places } from "../../lib/paths.ts";
import { until } from "../managers/contract.ts";
import { endInstances, freePort, io, START, useServer } from "../support/core-server.ts";
import type { InstanceStatus } from "../../lib/host/instance.ts";

useServer();
// Slow to start again after a crash, so that a crash is seen as one.
const manager = makeBuiltin(60_000);
let app: string;
let port: number;
let count = 0;
beforeEach(async () => {
  app = `health${++count}`;
  port = await freePort();
});
afterEach(() => endInstances(app));

/** An instance that runs a shell line, and how it is asked. */
async function candidate(command: string, check: Partial<Candidate["check"]> = {}, source = ""): Promise<Candidate> {
  const release = join(places(app).releases, "1-aaaaaaa");
  mkdirSync(release, { recursive: true });
  writeFileSync(join(release, "server.ts"), source);
  const name = { app, id: "1-aaaaaaa" };
  const env = { PATH: process.env["PATH"] ?? "", PORT: String(port), FILE: join(release, "answers") };
  const config = deployConfig(`name: ${app}\ntype: python\nhealthCheck: /\n`);
  await manager.start({ ...name, folder: release, config, command, env, user: undefined, stopTimeout: 5_000 }, io);
  // An hour: whatever ends before has not waited for it.
  const asked = { path: "/", timeout: 2_000, interval: 20, startTimeout: 3_600_000, ...check };
  return { name, manager, check: asked, port };
}

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const serve = (body: string, on = "Number(process.env.PORT)") =>
  `let asked = 0; Bun.serve({ hostname: "127.0.0.1", port: ${on}, fetch: () => { asked++; ${body} } });`;

test("a healthy instance is known by its main process", async () => {
  const ill = await candidate(START, {}, serve('return new Response("ok");'));
  const { pid } = await waitUntilHealthy(ill, io);
  expect(pid).toBe((await manager.status(ill.name)).pid!);
  await stillHealthy(ill, pid, io);
});

test("bad answers are asked again until a good one comes", async () => {
  const ill = await candidate(START, {}, serve('return new Response("", { status: asked < 4 ? 503 : 200 });'));
  const { tries } = await waitUntilHealthy(ill, io);
  expect(tries).toBeGreaterThanOrEqual(4);
});

test("as long as nobody listens it is asked more often than that: the app is not bothered by it", async () => {
  const ill = await candidate(
    START,
    { interval: 3_000_000 },
    `await Bun.sleep(50); ${serve('return new Response("ok");')}`,
  );
  const { tries } = await waitUntilHealthy(ill, io);
  expect(tries).toBeGreaterThan(1);
});

test("a worker below the main process may hold the socket", async () => {
  const ill = await candidate(`${START} & wait`, {}, serve('return new Response("ok");'));
  const { pid } = await waitUntilHealthy(ill, io);
  expect(pid).toBe((await manager.status(ill.name)).pid!);
  expect((await manager.pids(ill.name)).length).toBeGreaterThan(1);
});

test.each([
  ["a crash", "echo no such module >&2; exit 3", "exited with code 3"],
  ["an end with 0", "echo no such module; exit 0", "exited with code 0"],
  ["a signal", "echo no such module; kill -9 $$", "killed by SIGKILL"],
])("%s ends the wait at once, and shows the last words", async (_, command, how) => {
  const error = await errorOf(waitUntilHealthy(await candidate(command), io));
  expect(error?.exit).toBe("unhealthy");
  expect(error?.message).toBe(`${app}@1-aaaaaaa is not running: ${how}`);
  expect(error?.lines).toEqual(["no such module"]);
});

test("a process that dies while it is asked ends the wait as well", async () => {
  const ill = await candidate(
    START,
    {},
    serve('if (asked > 2) process.exit(4); return new Response("", { status: 500 });'),
  );
  const error = await errorOf(waitUntilHealthy(ill, io));
  expect(error?.message).toContain("exited with code 4");
});

test("a process that was started again after a crash is not healthy", async () => {
  const quick = makeBuiltin(10);
  const ill = await candidate(START, {}, serve('return new Response("ok");'));
  const once = {
    ...ill,
    manager: {
      ...quick,
      status: async (): Promise<InstanceStatus> => ({ ...(await manager.status(ill.name)), restarts: 1 }),
    },
  };
  expect((await errorOf(waitUntilHealthy(once, io)))?.message).toBe(`${app}@1-aaaaaaa crashed and was started again`);
});

test("the end of the time tells every answer that was seen", async () => {
  const body = 'return asked === 1 ? Response.redirect("/login", 302) : new Response("", { status: 500 });';
  const error = await errorOf(waitUntilHealthy(await candidate(START, { startTimeout: 3_000 }, serve(body)), io));
  expect(error?.exit).toBe("unhealthy");
  expect(error?.message).toContain(`GET http://127.0.0.1:${port}/: `);
  expect(error?.message).toContain("302 → /login");
  expect(error?.message).toMatch(/500( \(\d+ times\))?/);
  expect(error?.hint).toContain("a redirect does not count as healthy");
});

test("a steady answer of the app ends the wait long before its time, with the answer and what to do", async () => {
  const body = 'return new Response("No such page", { status: 404 });';
  const warned: string[] = [];
  const listening = makeIo({ ...silentLog, warn: (line) => void warned.push(line) });
  const ill = await candidate(START, { startTimeout: 600_000 }, serve(body));
  const error = await errorOf(waitUntilHealthy(ill, listening));
  expect(error?.message).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/: .*404 \(\d+ times\)/);
  expect(error?.lines[0]).toBe("it answers: No such page");
  expect(error?.hint).toContain("the app has no /: name one of its paths");
  expect(warned).toEqual(["GET / answers 404: No such page"]);
});

test("an app on the IPv6 loopback alone is named as such", async () => {
  const ill = await candidate(START, {}, serve('return new Response("ok");').replace("127.0.0.1", "::1"));
  await until("the app listens", async () => (await fetch(`http://[::1]:${port}/`).catch(() => null))?.ok);
  const error = await errorOf(waitUntilHealthy({ ...ill, check: { ...ill.check, startTimeout: 0 } }, io));
  expect(error?.hint).toContain(`listens on [::1]:${port} alone`);
});

test("an app that could not write into its release is told where that belongs", async () => {
  const line = "Error: EROFS: read-only file system, open '/srv/releases/1-aaaaaaa/uploads/a.png'";
  const error = await errorOf(waitUntilHealthy(await candidate(`echo "${line}"; exit 1`), io));
  expect(error?.hint).toContain("shared: {dirs: [uploads]}");
});

test.each([
  ["0.0.0.0", /^listens on 0\.0\.0\.0:\d+, where others reach it past the front: let it listen on \$DP_HOST/],
  ["::", /^listens on \[::\]:\d+, where others/],
  ["127.0.0.1", null],
])("an app that listens on %s", async (address, words) => {
  const ill = await candidate(START, {}, serve('return new Response("ok");').replace("127.0.0.1", address));
  await waitUntilHealthy(ill, io);
  const found = await openAddress(ill.name, ill.manager, port);
  if (words === null) expect(found).toBeNull();
  else expect(found).toMatch(words);
});

test("a wrong port is named", async () => {
  const other = await freePort();
  const ill = await candidate(START, { startTimeout: 60_000 }, serve('return new Response("ok");', String(other)));
  await until("the app listens", async () => (await fetch(`http://127.0.0.1:${other}/`).catch(() => null))?.ok);
  const error = await errorOf(waitUntilHealthy({ ...ill, check: { ...ill.check, startTimeout: 0 } }, io));
  expect(error?.message).toContain("connection refused");
  expect(error?.hint).toBe(`the app listens on 127.0.0.1:${other}; it must listen on $PORT, here ${port}`);
});

test("a wrong port is told while it is waited for, once, and ends nothing", async () => {
  const other = await freePort();
  const late = join(places(app).base, "late");
  const ill = await candidate(
    START,
    {},
    `${serve('return new Response("ok");', String(other))}
    while (!require("fs").existsSync(${JSON.stringify(late)})) await Bun.sleep(20);
    ${serve('return new Response("ok");').replace("let asked = 0;", "")}`,
  );
  const told: string[] = [];
  // It comes to its port by itself: half of the app had listened elsewhere first.
  const warn = (text: string) => void (told.push(text), writeFileSync(late, ""));
  const begun = performance.now();
  const { pid } = await waitUntilHealthy(ill, makeIo({ ...silentLog, warn }));
  expect(told).toEqual([`listens on ${other}, not on $PORT (${port})`]);
  expect(performance.now() - begun).toBeGreaterThan(3_000);
  expect(pid).toBe((await manager.status(ill.name)).pid!);
});

test("no port at all is named, too", async () => {
  const error = await errorOf(waitUntilHealthy(await candidate("exec sleep 1000", { startTimeout: 0 }), io));
  expect(error?.hint).toContain(`the app listens on no port yet: it must listen on $PORT, here ${port}`);
  expect(error?.hint).toContain("startTimeout");
});

test("somebody else's answer on the port proves nothing", async () => {
  const server = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("ok") });
  const error = await errorOf(waitUntilHealthy(await candidate("exec sleep 1000"), io));
  await server.stop(true);
  expect(error?.exit).toBe("unhealthy");
  expect(error?.message).toStartWith(`127.0.0.1:${port} answered, but it was pid ${process.pid} (`);
  expect(error?.message).toEndWith(`, not ${app}@1-aaaaaaa`);
});

test("an abort ends the wait with its reason", async () => {
  const stop = new AbortController();
  const ill = await candidate("exec sleep 1000");
  const waiting = errorOf(waitUntilHealthy(ill, makeIo(silentLog, stop.signal)));
  const reason = new DpError("terminated", "stopped");
  stop.abort(reason);
  expect(await waiting).toBe(reason);
});

test("asked once more, another main process or a bad answer is unhealthy", async () => {
  const body = 'return new Response("", { status: require("fs").existsSync(process.env.FILE) ? 500 : 200 });';
  const ill = await candidate(START, {}, serve(body));
  const { pid } = await waitUntilHealthy(ill, io);
  expect((await errorOf(stillHealthy(ill, pid + 1, io)))?.message).toBe(
    `${app}@1-aaaaaaa crashed and was started again`,
  );
  writeFileSync(join(places(app).releases, "1-aaaaaaa/answers"), "");
  expect((await errorOf(stillHealthy(ill, pid, io)))?.message).toBe(`GET http://127.0.0.1:${port}/: 500`);
  process.kill(pid, "SIGKILL");
  await until("it is gone", async () => (await manager.status(ill.name)).state !== "running");
  expect((await errorOf(stillHealthy(ill, pid, io)))?.message).toContain("killed by SIGKILL");
});
