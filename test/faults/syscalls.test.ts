// SIGKILL at the system calls by which a deploy changes the disk, one after the other: what is left is always whole.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sandbox, type Sandbox } from "../support/sandbox.ts";
import { dpTraced, straceUnavailable, straced } from "../support/strace.ts";
import { watchCurrent, type CurrentWatch } from "./current-watch.ts";
import { expectRecovery } from "./invariants.ts";
import { ALL_FAULTS } from "./points.ts";
import { seedOf, spread } from "./seed.ts";

const CALLS = ["rename", "symlink", "unlink", "mkdir", "rmdir", "fsync"];
/** Milliseconds for a choice of them. */
const BUDGET = 30_000;
const LEAST = 8;

const unavailable = straceUnavailable();
if (unavailable) console.warn(`kills at system calls are left out: ${unavailable}`);

let box: Sandbox;
let watch: CurrentWatch;
let log = "";
beforeAll(async () => {
  if (unavailable) return;
  box = await sandbox();
  appendFileSync(join(box.base, "config.yml"), "keep: 2\nstopTimeout: 2s\n");
  for (const say of ["one", "two", "three"]) await box.release({ say });
  watch = watchCurrent(box);
  log = mkdtempSync(join(tmpdir(), "dp-strace-"));
});
afterAll(async () => {
  await box?.stop();
  if (log) rmSync(log, { recursive: true });
});

/** How often each call is made. */
function countCalls(file: string): [name: string, nth: number][] {
  const lines = readFileSync(file, "utf8").split("\n");
  return CALLS.flatMap((name) => {
    const count = lines.filter((line) => line.startsWith(`${name}(`)).length;
    return Array.from({ length: count }, (_, index) => [name, index + 1] as [string, number]);
  });
}

const killing = ([name, nth]: [string, number]) => [
  ...["-qq", "-o", "/dev/null", "-e", `trace=${name}`, "-e", `inject=${name}:signal=SIGKILL:when=${nth}`],
];

describe.skipIf(unavailable !== null)("a deploy", () => {
  test("whose process is killed", async () => {
    const file = join(log, "calls");
    const undisturbed = await dpTraced(box, ["-qq", "-o", file, "-e", `trace=${CALLS.join(",")}`], "deploy", box.app);
    expect(`${undisturbed.code}\n${undisturbed.text}`).toStartWith("0\n");
    const calls = countCalls(file);
    for (const name of ["rename", "symlink", "mkdir", "fsync"]) expect(calls.map(([call]) => call)).toContain(name);
    const seed = seedOf("syscalls");
    const end = performance.now() + BUDGET;
    let tried = 0;
    for (const call of ALL_FAULTS ? calls : spread(calls, seed)) {
      if (!ALL_FAULTS && tried >= LEAST && performance.now() > end) break;
      tried++;
      const before = box.link("current");
      const outcome = await dpTraced(box, killing(call), "deploy", box.app);
      // What was killed before may have left less to do: then nothing came to this call.
      if (outcome.code !== 0) expect(`${call} ${outcome.code}\n${outcome.text}`).toStartWith(`${call} 143\n`);
      await expectRecovery(box, { before, outcome });
    }
    console.log(`killed at ${tried} of ${calls.length} system calls`);
  }, 1_200_000);

  test("whose beginning is killed takes no number twice", async () => {
    const file = join(log, "begin");
    await straced(box, ["-qq", "-o", file, "-e", `trace=${CALLS.join(",")}`], "begin", box.app);
    const calls = countCalls(file);
    expect(calls.length).toBeGreaterThanOrEqual(6);
    const numbers = new Set(box.ids().map((id) => Number.parseInt(id)));
    for (const call of ALL_FAULTS ? calls : spread(calls, seedOf("begin")).slice(0, 5)) {
      expect(await straced(box, killing(call), "begin", box.app)).toBe(137);
      const next = await box.dp("begin", box.app);
      expect(next.code).toBe(0);
      const number = Number.parseInt(box.ids().at(-1)!);
      expect(number).toBeGreaterThan(Math.max(...numbers));
      numbers.add(number);
      await expectRecovery(box);
    }
  }, 600_000);

  test("ends well after all of it, and current was there all the time", async () => {
    const outcome = await box.dp("deploy", box.app);
    expect(`${outcome.code}\n${outcome.text}`).toStartWith("0\n");
    expect((await watch.stop()).missing).toBe(0);
  });
});
