// A client that goes away, or that stops reading, neither ends nor freezes the deploy that it started.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasEnvironment } from "../../lib/host/process/process.ts";
import { deployYml, pidsWith, sandbox, until, type Sandbox, type Started } from "../support/sandbox.ts";

const LOUD = 4 * 1024 * 1024;
let box: Sandbox;
const door = () => join(box.root, "door");
const inside = () => join(box.root, "inside");

beforeAll(async () => {
  box = await sandbox();
  await box.release({});
});
afterAll(() => box?.stop());
beforeEach(() => [door(), inside()].forEach((path) => rmSync(path, { force: true })));

/** Pushes a commit whose build waits at the door, and then prints that many bytes. */
async function pushUntilBuild(say: string, bytes: number): Promise<{ client: Started; sha: string; id: string }> {
  const line = "0123456789".repeat(10);
  const wait = `touch '${inside()}'; while [ ! -e '${door()}' ]; do sleep 0.02; done`;
  const build = `${wait}; yes ${line} | head -c ${bytes}; echo; echo built`;
  const sha = await box.commit({ say, "deploy.yml": deployYml("shop", `build: ${JSON.stringify(build)}\n`) });
  const client = box.start(["git", "push", "production", "main"]);
  await until("the build", () => existsSync(inside()));
  return { client, sha, id: box.ids().at(-1)! };
}

const branch = async () => (await box.git("--git-dir", box.repo, "rev-parse", "main")).stdout.trim();
const isOurs = (pid: number) => hasEnvironment(pid, `HOME=${box.env["HOME"]}`);
/** The processes of deploys, and the shells above them that git has started. */
const hooks = () => [...pidsWith(`\0hook\0update\0${box.repo}`), ...pidsWith(`hooks/update`).filter(isOurs)];
const receivers = () =>
  pidsWith(`receive-pack`).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(box.repo));

async function expectDeployed(id: string, sha: string, say: string): Promise<void> {
  await until("the end of the deploy", () => box.run(id).result);
  expect(box.run(id).result).toMatchObject({ state: "good", code: 0 });
  expect(box.link("current")).toBe(id);
  expect(await box.answer()).toBe(`${say} ${id}`);
  await until("the end of the hook", () => hooks().length === 0);
  const log = await box.dp("logs", "shop", "--deploy");
  expect(log.code).toBe(0);
  expect(log.stdout).toContain("| built");
  expect(log.stdout).toContain(`live: shop ${id}`);
  expect(sha).toStartWith(id.split("-")[1]!);
}

// git's receiver may die of the closed connection before it has moved the branch: then the same push moves it.
async function expectBranchFollows(sha: string, say: string): Promise<void> {
  await until("the end of git's receiver", () => receivers().length === 0);
  expect((await box.push()).code).toBe(0);
  expect(await branch()).toBe(sha);
  expect(await box.answer()).toBe(`${say} ${box.link("current")}`);
  expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
}

describe.each([
  ["a few lines", 200],
  ["4 MiB of output", LOUD],
])("%s", (_, bytes) => {
  test("to a client that was killed", async () => {
    const { client, sha, id } = await pushUntilBuild("killed", bytes);
    process.kill(client.pid, "SIGKILL");
    writeFileSync(door(), "");
    await expectDeployed(id, sha, "killed");
    await expectBranchFollows(sha, "killed");
  });

  test("to a client that was interrupted", async () => {
    const { client, sha, id } = await pushUntilBuild("interrupted", bytes);
    process.kill(client.pid, "SIGINT");
    writeFileSync(door(), "");
    await expectDeployed(id, sha, "interrupted");
    await expectBranchFollows(sha, "interrupted");
  });

  test("to a client that stops reading, and goes on later", async () => {
    const { client, sha, id } = await pushUntilBuild("stopped", bytes);
    process.kill(client.pid, "SIGSTOP");
    try {
      writeFileSync(door(), "");
      await expectDeployed(id, sha, "stopped");
    } finally {
      process.kill(client.pid, "SIGCONT");
    }
    expect((await client.done).code).toBe(0);
    expect(await branch()).toBe(sha);
  });
});
