// A power cut at each place where a deploy syncs something, with all lost that was not synced by then: dp reconcile makes it whole.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { sandbox, type Sandbox } from "../support/sandbox.ts";
import { callsIn, dpTraced, straceUnavailable, type Call } from "../support/strace.ts";
import { expectInvariants } from "./invariants.ts";
import { ALL_FAULTS } from "./points.ts";
import { seedOf, spread } from "./seed.ts";

/** What makes names. */
const NAMES = ["rename", "symlink", "mkdir"];
/** Milliseconds for a choice of the cuts. */
const BUDGET = 20_000;
const LEAST = 5;

const unavailable = straceUnavailable();
if (unavailable) console.warn(`power cuts at system calls are left out: ${unavailable}`);

let box: Sandbox;
let logs = "";
beforeAll(async () => {
  if (unavailable) return;
  box = await sandbox();
  appendFileSync(join(box.base, "config.yml"), "keep: 2\nstopTimeout: 2s\n");
  for (const say of ["one", "two"]) await box.release({ say });
  logs = mkdtempSync(join(tmpdir(), "dp-strace-"));
});
afterAll(async () => {
  await box?.stop();
  if (logs) rmSync(logs, { recursive: true });
});

/** Deploys under strace, which kills the process at its n-th fsync if that is said; answers what was called until then. */
async function deploy(name: string, cut?: number): Promise<Call[]> {
  const folder = join(logs, name);
  mkdirSync(folder);
  const inject = cut === undefined ? [] : ["-e", `inject=fsync:signal=SIGKILL:when=${cut}`];
  const trace = ["-qq", "-y", "-ttt", "-s", "4096", "-e", "signal=none", "-e", `trace=fsync,${NAMES.join()}`];
  const { code, text } = await dpTraced(box, [...trace, ...inject, "-o", join(folder, "calls")], "deploy", box.app);
  if (cut === undefined) expect(`${code}\n${text}`).toStartWith("0\n");
  return callsIn(folder);
}

/** Takes away what the disk need not have: half of a file that was not synced, and names in folders that were not. */
function lose(calls: readonly Call[], before: string): string[] {
  const isIn = (some: readonly Call[], path: string) =>
    some.some(({ name, paths }) => name === "fsync" && paths[0] === path);
  const others = [join(box.root, "var/log"), join(box.base, "releases")];
  const isOwn = (path: string) => path.startsWith(`${box.root}/`) && !others.some((other) => path.startsWith(other));
  const lost: string[] = [];
  for (const [at, { name, paths }] of calls.entries()) {
    const path = paths.at(-1)!;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!NAMES.includes(name) || !isOwn(path) || !found) continue;
    if (name === "rename" && found.isFile() && !isIn(calls.slice(0, at), paths[0]!)) {
      truncateSync(path, Math.floor(found.size / 2));
      lost.push(`${path} is half`);
    }
    if (isIn(calls.slice(at), dirname(path)) || (name === "rename" && path !== join(box.base, "current"))) continue;
    rmSync(path, { recursive: true });
    if (name === "rename") symlinkSync(`releases/${before}`, path);
    lost.push(`${path} is ${name === "rename" ? "as it was" : "gone"}`);
  }
  return lost;
}

/** The release that was being made, unless it is synced: step clone ends with that, whoever made what is in it. */
function loseTree(): void {
  const id = box.ids().at(-1)!;
  const folder = join(box.base, "releases", id);
  if (box.run(id).journal["clone"]?.state === "ok" || !existsSync(folder)) return;
  for (const path of new Bun.Glob("**").scanSync({ cwd: folder, absolute: true }))
    if (lstatSync(path).isFile()) truncateSync(path, Math.floor(lstatSync(path).size / 2));
}

test.skipIf(unavailable !== null)(
  "at any of them one release is whole and serves, and the next deploy ends well",
  async () => {
    const undisturbed = await deploy("undisturbed");
    // Just before it syncs something: then the most is not synced yet.
    const count = undisturbed.filter(({ name }) => name === "fsync").length;
    const cuts = Array.from({ length: count }, (_, index) => index + 1);
    expect(count).toBeGreaterThan(20);
    const end = performance.now() + BUDGET;
    let tried = 0;
    for (const cut of ALL_FAULTS ? cuts : spread(cuts, seedOf("power"))) {
      if (!ALL_FAULTS && tried >= LEAST && performance.now() > end) break;
      const before = box.link("current")!;
      const calls = await deploy(String(tried++), cut);
      await box.cutPower();
      const lost = lose(calls, before);
      loseTree();
      const { code, text } = await box.dp("reconcile");
      const told = `fsync ${cut}: ${lost.join(", ")}\n${code}`;
      expect(`${told}\n${text}`).toStartWith(`fsync ${cut}: ${lost.join(", ")}\n0\n`);
      expect(box.link("current") === before || box.ids().at(-1) === box.link("current")).toBe(true);
      await expectInvariants(box, { isSettled: true });
    }
    console.log(`cut at ${tried} of ${cuts.length} places`);
    const next = await box.dp("deploy", box.app);
    expect(`${next.code}\n${next.text}`).toStartWith("0\n");
  },
  1_800_000,
);
