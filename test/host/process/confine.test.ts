// Builds and hooks: lower in rank than the app, and gone with all that they started.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DpError } from "../../../lib/errors.ts";
import { scopesOf } from "../../../lib/host/process/confine.ts";
import { isAlive } from "../../../lib/host/process/process.ts";
import { run } from "../../../lib/host/run.ts";
import { until } from "../../managers/contract.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-confine-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const confined = { app: "shop", id: `42-${Math.random().toString(16).slice(2, 9).padEnd(7, "0")}` };
const sh = (script: string, more = {}) => run(["sh", "-c", script], { confined, cwd: folder, ...more });
const pidIn = (file: string) => Number(readFileSync(join(folder, file), "utf8"));
/** Leaves a process in a session of its own that holds no pipe. */
const leave = (script = "") =>
  `setsid sh -c '${script} echo $$ > left; exec sleep 1000' >/dev/null 2>&1 & until [ -s left ]; do sleep 0.01; done`;

test("it is nicer than dp, and the first to go when memory is short", async () => {
  const plain = await run(["sh", "-c", "nice"]);
  const { text } = await sh("nice; cat /proc/self/oom_score_adj");
  const [nice, score] = text.split("\n").map(Number);
  expect([nice, score]).toEqual([Math.min(19, Number(plain.text) + 10), 500]);
});

test("exit code, signal, both outputs and the environment are its own", async () => {
  expect(await sh("echo a; echo b > /dev/stderr; exit 3", { check: false })).toMatchObject({ code: 3, text: "a\nb" });
  expect(await sh("kill -9 $$", { check: false })).toMatchObject({ code: 137, signal: "SIGKILL" });
  const { text } = await run(["/usr/bin/env"], { confined, env: { ONE: "1" } });
  const names = text.split("\n").map((line) => line.split("=")[0]!);
  expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_", "DP_BUILD"].includes(name))).toEqual(["ONE"]);
});

test("a daemon that it leaves ends with it, and one that is not its own does not", async () => {
  const other = Bun.spawn(["sleep", "1000"], {
    env: { DP_BUILD: "shop@41-0000000" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await sh(leave());
  expect(isAlive(pidIn("left"))).toBe(false);
  expect(isAlive(other.pid)).toBe(true);
  other.kill("SIGKILL");
});

test("two servers in folders that deploy one app and ID at once leave each other's commands alone", async () => {
  const before = process.env["DP_ROOT"];
  const inRoot = (name: string, script: string) => {
    process.env["DP_ROOT"] = join(folder, name);
    return sh(script);
  };
  try {
    const first = inRoot("a", `${leave()}; until [ -e done ]; do sleep 0.01; done; kill -0 $(cat left)`);
    await until("it runs", () => existsSync(join(folder, "left")) && pidIn("left") > 0);
    const scopes = scopesOf(confined);
    await inRoot("b", "true");
    expect(scopesOf(confined).startsWith(scopes) || scopes.startsWith(scopesOf(confined))).toBe(false);
    writeFileSync(join(folder, "done"), "");
    await first; // and with it what it had left
    expect(isAlive(pidIn("left"))).toBe(false);
  } finally {
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
  }
});

test("one that holds the pipe holds nobody, and what it said is not lost", async () => {
  const { text } = await sh(
    "setsid sh -c 'echo $$ > left; echo said; exec sleep 1000' & until [ -s left ]; do sleep 0.01; done",
  );
  expect(text).toBe("said");
  expect(isAlive(pidIn("left"))).toBe(false);
});

test("a limit of memory is named when something was killed", async () => {
  const more = { confined: { ...confined, build: { memory: "700m" } } };
  const error = (await sh("kill -9 $$", more).catch((thrown: unknown) => thrown)) as DpError;
  expect(error.hint).toBe("build in config.yml limits it to 700m of memory");
});

test("one that ignores SIGTERM ends, too, when the command has run out of time", async () => {
  const result = await sh(`${leave('trap "" TERM;')}; sleep 1000`, { timeout: 1_000, check: false });
  expect(result.timedOut).toBe(true);
  expect(isAlive(pidIn("left"))).toBe(false);
});

test("an abort ends them, too", async () => {
  const stop = new AbortController();
  const ended = sh(`${leave()}; sleep 1000`, { signal: stop.signal }).catch((error: unknown) => error);
  await until("it runs", () => existsSync(join(folder, "left")) && pidIn("left") > 0);
  stop.abort("stopped");
  expect(await ended).toBe("stopped");
  expect(isAlive(pidIn("left"))).toBe(false);
});
