// A file that is read and never answers, as on a network disk whose server is gone: a deploy ends all the same, by the
// limits of its steps and of their way back.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isRunning, sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { QUICK } from "./events.ts";
import { expectRecovery } from "./invariants.ts";
import { workerOf } from "./points.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  // The limit of a step follows from all that it may wait for.
  appendFileSync(
    join(box.base, "config.yml"),
    "stepTimeout: 1s\nstopTimeout: 1s\ndrainTimeout: 100ms\nholdTimeout: 1s\n",
  );
  await box.release({ "deploy.yml": QUICK(box.app) });
});
afterAll(() => box?.stop());

test("its process is gone, the old release serves, and when the disk is back so is everything", async () => {
  const before = box.link("current")!;
  // The record of the new instance's port: who reads it waits for a writer that never comes.
  const port = join(box.base, "instances/$DP_RELEASE.port");
  await box.commit({ "deploy.yml": QUICK(box.app, `hooks: {preDeploy: 'rm "${port}" && mkfifo "${port}"'}\n`) });
  await box.push("production", "HEAD:refs/heads/side");
  const { done } = box.start([box.program, "deploy", box.app, "side"]);
  await until("step start", () => box.run().journal["start"]?.state === "running");
  const worker = workerOf(box);
  const outcome = await done;
  // The way back removes the record and does not read it.
  expect(`${outcome.code}\n${outcome.text}`).toMatch(
    /^6\n[^]*FAILED at start: step start did not end within \d+ms, its limit\n[^]*serving: \S+, as before/,
  );
  expect(isRunning(worker)).toBe(false);
  expect(await box.answer()).toBe(`one ${before}`);
  rmSync(port.replace("$DP_RELEASE", box.ids().at(-1)!), { force: true });
  await expectRecovery(box, { before, outcome });
  await box.commit({ "deploy.yml": QUICK(box.app) });
  const next = await box.push();
  expect(`${next.code}\n${next.text}`).toStartWith("0\n");
}, 120_000);
