// `dp selftest` on a server in a folder with an app that must not notice; and interrupted in its middle.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Proof } from "../../lib/commands/selftest.ts";
import { pidsWith, sandbox, until, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let live: string;
let temp: string;
beforeAll(async () => {
  box = await sandbox();
  live = await box.release({ say: "not to be touched" });
  temp = mkdtempSync(join(tmpdir(), "dp-test-selftest-"));
  box.env["TMPDIR"] = temp;
});
afterAll(async () => {
  await box?.stop();
  rmSync(temp, { recursive: true, force: true });
});

const places = () =>
  ["opt/deployments", "var/repos", "var/log/deployments"].map((path) => readdirSync(join(box.root, path)).sort());

async function expectNothingLeft(before: string[][], pid: number): Promise<void> {
  expect(places()).toEqual(before);
  expect(readdirSync(temp)).toEqual([]);
  expect(pidsWith("dp-selftest")).toEqual([]);
  expect(box.instances()[live]).toEqual([pid]);
  expect(await box.answer()).toBe(`not to be touched ${live}`);
}

test("it proves all of it, leaves nothing, and the app beside it has not noticed", async () => {
  const [before, [pid]] = [places(), box.instances()[live]!];
  const { code, stdout, stderr } = await box.dp("selftest", "--json");
  const proofs = JSON.parse(stdout) as Proof[];
  // Only on a server: see server-commands.
  expect(proofs.filter(({ result }) => result !== "passed").map(({ result, why }) => [result, why])).toEqual([
    ["skipped", "only root on a server may mount a small disk for it"],
  ]);
  expect([code, proofs.length, stderr.includes("kill -9")]).toEqual([0, 10, true]);
  await expectNothingLeft(before, pid!);
}, 120_000);

test("interrupted, it ends what is under way and leaves nothing either", async () => {
  const [before, [pid]] = [places(), box.instances()[live]!];
  const started = box.start([box.program, "selftest"]);
  await until("its first deploy", () =>
    readdirSync(join(box.root, "opt/deployments")).some(
      (name) =>
        name.startsWith("dp-selftest") &&
        existsSync(join(box.root, "opt/deployments", name, "runs")) &&
        readdirSync(join(box.root, "opt/deployments", name, "runs")).some((file) => file.endsWith(".json")),
    ),
  );
  process.kill(started.pid, "SIGINT");
  const { code, stderr } = await started.done;
  expect([code, stderr]).toEqual([130, expect.stringContaining("the self-test was interrupted")]);
  await expectNothingLeft(before, pid!);
}, 120_000);

test("what fails is named, the rest is not run, and nothing is left", async () => {
  const [before, [pid]] = [places(), box.instances()[live]!];
  const tools = join(temp, "tools");
  mkdirSync(tools);
  // A git that pushes nothing.
  writeFileSync(
    join(tools, "git"),
    '#!/bin/sh\n[ "$1" = push ] && { echo "no push today"; exit 1; }\nPATH=${PATH#*:} exec git "$@"\n',
  );
  chmodSync(join(tools, "git"), 0o755);
  const { code, stdout, stderr } = await box.start([box.program, "selftest"], { PATH: `${tools}:${box.env["PATH"]}` })
    .done;
  rmSync(tools, { recursive: true });
  expect(code).toBe(6);
  const rows = stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/ {2,}/)[0]!.trim());
  expect(rows).toEqual(["passed", "failed", ...Array.from({ length: 7 }, () => "not run"), "passed"]);
  expect(stderr).toContain("no push today");
  await expectNothingLeft(before, pid!);
}, 120_000);
