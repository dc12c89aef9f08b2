// A rollback that is typed, and a push: in a session of its own dp works itself, without a second dp, and whoever asked for it may leave.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argumentsOf, hasEnvironment, processEntry, processTable } from "../../lib/host/process/process.ts";
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
const isRunner = (pid: number) =>
  argumentsOf(pid).slice(-2).join(" ") === `work ${box.app}` && hasEnvironment(pid, `DP_ROOT=${box.root}`);
const hasRunner = () => processTable().some(({ pid }) => isRunner(pid));
const lockHolder = () => (JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid;
const isChecking = (before: number) => box.ids().length > before && box.run().journal["check"]?.state === "running";

test("it does the work itself, says all of it, and keeps its exit code", async () => {
  const before = box.ids().length;
  const { pid, done } = typed(ids[0]!);
  await until("the check", () => isChecking(before));
  expect([lockHolder(), hasRunner()]).toEqual([works(pid)!, false]);
  writeFileSync(join(box.root, "door"), "");
  const { code, text } = await done;
  expect([code, box.link("current")]).toEqual([0, ids[0]!]);
  expect(text).toMatch(/^start .*^live: shop/ms);
  expect(box.log(box.ids().at(-1)!)).toContain("live: shop");
  expect(await typed(ids[0]!).done).toMatchObject({ code: 2, text: expect.stringContaining("is already live") });
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
  expect([code, stderr]).toEqual([
    130,
    expect.stringContaining("dp: the rollback continues: dp logs shop --deploy -f"),
  ]);
  expect(stdout).not.toContain("live: shop");
  await until("the end of the rollback", () => box.run().result?.state === "good");
  expect(box.link("current")).toBe(ids[1]!);
});

test("left before its turn has come, it is called off", async () => {
  rmSync(join(box.root, "door"), { force: true });
  const deploying = box.start([programOf(box.program), "rollback", box.app, ids[0]!]);
  await until("the check", () => box.run().journal["check"]?.state === "running" && hasRunner());
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

describe("a push", () => {
  const hookOf = (pid: number) => argumentsOf(pid).slice(-6, -3).join(" ") === `hook update ${box.repo}`;
  /** Pushes a release whose check waits at the door; answers once it does, with the process of the deploy. */
  const pushUntilCheck = async (say: string) => {
    rmSync(join(box.root, "door"), { force: true });
    const before = box.ids().length;
    await box.commit({ say });
    const { pid, done } = box.start(["git", "push", "production", "main"]);
    await until("the check", () => isChecking(before));
    return { pid, done, runner: lockHolder() };
  };

  test("is worked on by its hook, in a session of its own and below a shell", async () => {
    const { done, runner } = await pushUntilCheck("three");
    const { session, parent } = processEntry(runner)!;
    expect([hookOf(runner), session, hasRunner()]).toEqual([true, runner, false]);
    expect(argumentsOf(parent).join(" ")).toContain("hooks/update");
    writeFileSync(join(box.root, "door"), "");
    const { code, text } = await done;
    expect([code, box.run().result?.state]).toEqual([0, "good"]);
    expect(text).toContain(`live: shop ${box.link("current")}`);
  });

  test("whose process is killed says how it is gone on with, and moves no branch", async () => {
    const live = box.link("current");
    const { done, runner } = await pushUntilCheck("four");
    process.kill(runner, "SIGKILL");
    const { code, text } = await done;
    expect(code).toBe(1);
    expect(text).toContain("dp: the process of the deploy was killed; to finish or undo it: dp resume shop");
    expect(text).toContain("hook declined");
    expect(box.link("current")).toBe(live);
    writeFileSync(join(box.root, "door"), "");
    const resumed = await box.dp("resume", box.app);
    expect([resumed.code, box.link("current")]).toEqual([0, box.ids().at(-1)!]);
    expect((await box.push()).code).toBe(0);
  });

  test("whose git is gone goes on, and moves the branch by itself", async () => {
    const { pid, done } = await pushUntilCheck("five");
    const sha = (await box.git("rev-parse", "main")).stdout.trim();
    const receiver = processTable().find(({ pid: one }) =>
      argumentsOf(one).join(" ").includes(`receive-pack ${box.repo}`),
    )!;
    process.kill(pid, "SIGKILL");
    process.kill(receiver.pid, "SIGKILL");
    await done;
    writeFileSync(join(box.root, "door"), "");
    await until("the end of the deploy", () => box.run().result?.state === "good");
    const branch = async () => (await box.git("--git-dir", box.repo, "rev-parse", "main")).stdout.trim();
    await until("the branch", async () => (await branch()) === sha);
    expect(box.link("current")).toBe(box.ids().at(-1)!);
  });
});
