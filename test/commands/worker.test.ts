// A rollback that is typed: in a session of its own dp works itself, without a second dp, and whoever typed it may leave.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argumentsOf, hasEnvironment, processTable } from "../../lib/process/process.ts";
import { programOf } from "../support/installed.ts";
import { deployYml, sandbox, until, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let ids: string[] = [];
beforeAll(async () => {
  box = await sandbox();
  const door = join(box.root, "door");
  writeFileSync(door, "");
  const slow = { mode: "slow", wait: door, "deploy.yml": deployYml("shop").replace("5s", "30s") };
  ids = [await box.release(slow), await box.release({ ...slow, say: "two" })];
  rmSync(door);
});
afterAll(() => box?.stop());

/** `dp rollback` as the installed command runs it. */
const typed = (...words: string[]) =>
  box.start(["setsid", "-f", "-w", programOf(box.program), "rollback", box.app, ...words]);
const works = (pid: number) => processTable().find(({ parent }) => parent === pid)?.pid;
const isWorker = (pid: number) =>
  argumentsOf(pid).slice(-2).join(" ") === `work ${box.app}` && hasEnvironment(pid, `DP_ROOT=${box.root}`);
const hasWorker = () => processTable().some(({ pid }) => isWorker(pid));
const lockHolder = () => (JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid;
const isChecking = (before: number) => box.ids().length > before && box.run().journal["check"]?.state === "running";

test("it does the work itself, says all of it, and keeps its exit code", async () => {
  const before = box.ids().length;
  const { pid, done } = typed(ids[0]!);
  await until("the check", () => isChecking(before));
  expect([lockHolder(), hasWorker()]).toEqual([works(pid)!, false]);
  writeFileSync(join(box.root, "door"), "");
  const { code, text } = await done;
  expect([code, box.link("current")]).toEqual([0, ids[0]!]);
  expect(text).toMatch(/^start .*^live: shop/ms);
  expect(box.log(box.ids().at(-1)!)).toContain("live: shop");
  expect(await typed(ids[0]!).done).toMatchObject({ code: 2, text: expect.stringContaining("is live already") });
});

test("Ctrl-C leaves it to its end, and says so", async () => {
  rmSync(join(box.root, "door"), { force: true });
  const before = box.ids().length;
  const { pid, done } = typed(ids[1]!);
  await until("the check", () => isChecking(before));
  process.kill(pid, "SIGINT");
  await until("what is said to whoever leaves", () => process.kill(lockHolder(), 0) && !works(pid));
  writeFileSync(join(box.root, "door"), "");
  const { code, stderr, stdout } = await done;
  expect([code, stderr]).toEqual([130, expect.stringContaining("dp: the deploy goes on: dp logs shop --deploy -f")]);
  expect(stdout).not.toContain("live: shop");
  await until("the end of the rollback", () => box.run().result?.state === "good");
  expect(box.link("current")).toBe(ids[1]!);
});

test("left before its turn has come, it is called off", async () => {
  rmSync(join(box.root, "door"), { force: true });
  const deploying = box.start([programOf(box.program), "rollback", box.app, ids[0]!]);
  await until("the check", () => box.run().journal["check"]?.state === "running" && hasWorker());
  const before = box.ids().length;
  const words = ["setsid", "-f", "-w", programOf(box.program), "rollback", box.app];
  const waiting = Bun.spawn(words, { env: box.env, stdio: ["ignore", "ignore", "pipe"] });
  const said = waiting.stderr.getReader();
  expect(new TextDecoder().decode((await said.read()).value)).toContain("dp: waiting for");
  waiting.kill("SIGINT");
  expect((await said.read()).done).toBe(true); // it has ended as well
  writeFileSync(join(box.root, "door"), "");
  expect((await deploying.done).code).toBe(0);
  expect(box.ids().length).toBe(before);
});
