// The process of a deploy: ready before the run is begun, on its own from then on, and gone when there is nothing to do.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import { pipe } from "../../lib/host/process/libc.ts";
import { closeSync, writeSync } from "node:fs";
import { plainEnv } from "../../lib/host/run.ts";
import { commit, dp, makeApp, runDp, useServer } from "../support/core-server.ts";
import { argumentsOf, processTable } from "../../lib/host/process/process.ts";
import { until } from "../support/sandbox.ts";
import { logOf } from "../../lib/release/history.ts";

const server = useServer();
const runnersOf = (app: string) =>
  processTable().filter(({ pid }) => argumentsOf(pid).slice(-2).join(" ") === `work ${app}`);

/** `dp work` with that on its stdin. */
async function work(app: string, text: string) {
  const [read, write] = pipe();
  const env = { ...plainEnv(), DP_ROOT: server.path() };
  const child = Bun.spawn([...dp, "work", app], { cwd: "/", env, stdin: read, stdout: "pipe", stderr: "pipe" });
  closeSync(read);
  writeSync(write, text);
  closeSync(write);
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

test("a runner process without an order ends, and leaves nothing", async () => {
  const app = await makeApp();
  const before = readdirSync(app.base).sort();
  expect(await work(app.app, "")).toEqual({ code: 0, out: "", err: "" });
  expect([readdirSync(app.base).sort(), readdirSync(app.logs)]).toEqual([before, []]);
});

test("one with an order says all of it in the log, and nothing to whoever started it", async () => {
  const app = await makeApp();
  await commit(app.repo, { "deploy.yml": "type: nonsense\n" });
  const { id } = await begin(app.own, undefined);
  expect(await work(app.app, JSON.stringify({ id }))).toEqual({ code: 3, out: "", err: "" });
  expect(readFileSync(logOf(app.own, id), "utf8")).toContain("FAILED at read");
});

test("it is there while the run is begun, and gone when that fails", async () => {
  const app = await makeApp();
  // A process of its own that leads no session: the leader of one does the work itself.
  const script = `
    import { beginAndLaunch } from ${JSON.stringify(resolve("lib/deploy/launch.ts"))};
    import { namedApp } from ${JSON.stringify(resolve("lib/release/named-app.ts"))};
    const beginning = async () => {
      console.log("begins");
      await Bun.stdin.text();
      throw new Error("not begun");
    };
    await beginAndLaunch(namedApp(process.argv[1]), beginning).catch((error) => console.log(error.message));
  `;
  const env = { ...plainEnv(), DP_ROOT: server.path() };
  const child = Bun.spawn([process.execPath, "-e", script, app.app], { env, stdin: "pipe", stdout: "pipe" });
  await until("the runner process", () => runnersOf(app.app).length === 1);
  child.stdin.end();
  expect([await child.stdout.text(), await child.exited]).toEqual(["begins\nnot begun\n", 0]);
  await until("its end", () => runnersOf(app.app).length === 0);
  expect(readdirSync(app.logs)).toEqual([]);
});

test("one that cannot even start says why, and its exit code is the deploy's", async () => {
  const app = await makeApp();
  await commit(app.repo, { "deploy.yml": "type: nonsense\n" });
  const steps = server.path("steps");
  mkdirSync(steps);
  writeFileSync(join(steps, "swap"), "#!/bin/sh\n", { mode: 0o755 });
  const { code, err } = await runDp(["deploy", app.app], { DP_STEPS: steps });
  expect([code, err]).toEqual([2, expect.stringContaining('a step named "swap" exists already')]);
  expect(existsSync(app.current)).toBe(false);
});
