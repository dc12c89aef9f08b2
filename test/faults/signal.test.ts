// SIGTERM and SIGINT to the deploying process: before the switch everything is taken back, after it nothing is.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, pidsWith, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

const DOOR = "door";
let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  await box.release({ wait: join(box.root, DOOR) });
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}

const workerOf = async (step: string) => {
  await until(`step ${step}`, () => box.run().journal[step]?.state === "running");
  return (JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid;
};
const slow = () => ({ "deploy.yml": deployYml("shop").replace("5s", "60s"), mode: "slow" });

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)("%s before the switch takes everything back, exit %d", async (signal, code) => {
  const before = box.link("current")!;
  rmSync(join(box.root, DOOR), { force: true });
  await box.commit(slow());
  const pushed = box.start(["git", "push", "production", "main"]);
  process.kill(await workerOf("check"), signal);
  const { code: pushCode, text } = await pushed.done;
  expect(pushCode).toBe(1);
  expect(text).toContain(`stopped by ${signal}`);
  expect(box.run().result).toMatchObject({ state: "failed", code });
  expect(box.link("current")).toBe(before);
  expect(await box.answer()).toBe(`one ${before}`);
  expect(Object.keys(box.instances())).toEqual([before]);
});

test("and the same commit deploys by the same push afterwards", async () => {
  writeFileSync(join(box.root, DOOR), "");
  await expectCode(box.push(), 0);
  expect(await box.answer()).toBe(`one ${box.link("current")}`);
});

test("after the switch a signal is not heard: the deploy ends well", async () => {
  const release = join(box.root, "post-may-end");
  const wait = `while [ ! -e '${release}' ]; do sleep 0.02; done`;
  await box.commit({
    mode: null,
    "deploy.yml": deployYml("shop", `hooks:\n  postDeploy: ${JSON.stringify(wait)}\n`),
  });
  const pushed = box.start(["git", "push", "production", "main"]);
  const worker = await workerOf("post-deploy");
  process.kill(worker, "SIGTERM");
  process.kill(worker, "SIGHUP");
  writeFileSync(release, "");
  await expectCode(pushed.done, 0);
  expect(box.run().result).toMatchObject({ state: "good" });
  expect(await box.answer()).toBe(`one ${box.link("current")}`);
});

test("a signal while a command runs ends the command and all below it", async () => {
  const marker = join(box.root, "building");
  const before = box.link("current")!;
  const build = `touch '${marker}'; sh -c 'sleep 86399'; true`;
  await box.commit({ "deploy.yml": deployYml("shop", `build: ${JSON.stringify(build)}\n`) });
  const pushed = box.start(["git", "push", "production", "main"]);
  const worker = await workerOf("build");
  await until("the build", () => existsSync(marker));
  process.kill(worker, "SIGTERM");
  expect((await pushed.done).code).toBe(1);
  expect(box.link("current")).toBe(before);
  expect(pidsWith(marker)).toEqual([]);
});
