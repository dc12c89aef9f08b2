// `./install.sh --demo`, the first command of the README: on a machine with python, without, and interrupted.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/box.ts";
import { project } from "../support/sandbox.ts";

const PROGRAMS = [
  "cat",
  "chmod",
  "cp",
  "cut",
  "dirname",
  "du",
  "env",
  "find",
  "git",
  "grep",
  "head",
  "id",
  "ls",
  "mkdir",
  "mktemp",
  "mv",
  "readlink",
  "rm",
  "sed",
  "sh",
  "sha256sum",
  "sort",
  "stat",
  "sync",
  "tail",
  "tar",
  "test",
  "tr",
  "uname",
];

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-test-demo-")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function demo(name: string, path = process.env["PATH"] ?? "") {
  const temp = join(folder, name);
  mkdirSync(temp);
  const env = { PATH: path, HOME: temp, TMPDIR: temp, DP_BUN: process.execPath };
  const child = Bun.spawn([join(project, "install.sh"), "--demo"], {
    cwd: "/",
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  return { temp, child };
}

/** The processes whose command line names a folder. */
const processesIn = (path: string) =>
  readdirSync("/proc").filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    const argv = Bun.spawnSync(["cat", `/proc/${pid}/cmdline`], { stderr: "ignore" }).stdout.toString();
    return argv.includes(path) && !argv.startsWith("cat");
  });

async function story(name: string, path?: string): Promise<void> {
  const { temp, child } = demo(name, path);
  const text = await child.stdout.text();
  expect(`${await child.exited} ${await child.stderr.text()}`).toStartWith("0 ");
  const told = [...text.matchAll(/this is version \d|rejected|boom: this commit is broken|back to/g)].map(
    ([words]) => words,
  );
  const first = told.filter((words, index) => words !== told[index - 1]);
  expect(first).toEqual([
    "this is version 1",
    "this is version 2",
    "boom: this commit is broken",
    "rejected",
    "this is version 2",
    "back to",
    "this is version 1",
    "back to",
  ]);
  expect(readdirSync(temp).filter((entry) => entry.startsWith("dp-demo"))).toEqual([]);
  expect(processesIn(temp)).toEqual([]);
}

test("it pushes, deploys, breaks and goes back, and leaves nothing", () => story("whole"));

test("the same where there is no python", async () => {
  const tools = join(folder, "tools");
  mkdirSync(tools);
  for (const name of PROGRAMS) {
    const found = Bun.which(name);
    if (found) symlinkSync(found, join(tools, name));
  }
  expect(Bun.which("python3", { PATH: tools })).toBeNull();
  await story("no-python", tools);
});

test("interrupted in the middle, it leaves nothing either", async () => {
  const { temp, child } = demo("interrupted");
  const reader = child.stdout.getReader();
  let text = "";
  await until("the first push", async () => {
    const { value, done } = await reader.read();
    text += new TextDecoder().decode(value);
    return done || text.includes("git push production main");
  });
  process.kill(-child.pid, "SIGINT");
  while (!(await reader.read()).done);
  expect(await child.exited).toBe(130);
  expect(readdirSync(temp).filter((entry) => entry.startsWith("dp-demo"))).toEqual([]);
  // A push that was interrupted watches for a moment longer whether its branch moves.
  await until("the end of all that it started", () => processesIn(temp).length === 0);
  expect(readdirSync(temp).filter((entry) => entry.startsWith("dp-demo"))).toEqual([]);
});
