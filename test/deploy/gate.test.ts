// The branch that a push wants to move: refused when it moved elsewhere, and where the live release is afterwards.
import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import type { DpError } from "../../lib/errors.ts";
import { receiver, requireTip, settleRef } from "../../lib/deploy/gate.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { commit, useServer } from "../support/core-server.ts";

const server = useServer();
const REF = "refs/heads/main";
const NOWHERE = "0".repeat(40);
let repo: string;
let count = 0;
/** Commits: one <- two <- three, and `other`, which is of another line. */
let [one, two, three, other] = ["", "", "", ""];

const git = (...words: string[]) =>
  Bun.spawnSync(["git", "--git-dir", repo, ...words], { env: plainEnv() })
    .stdout.toString()
    .trim();
const tip = () => git("rev-parse", "--verify", "--quiet", REF) || null;
const moveTo = (sha: string | null) => git("update-ref", ...(sha === null ? ["-d", REF] : [REF, sha]));

async function child(parent: string | null, name: string): Promise<string> {
  const made = await commit(repo, { name }, name, `branch-${name}`);
  const identity = ["-c", "user.name=D", "-c", "user.email=d@localhost"];
  return git(...identity, "commit-tree", `${made}^{tree}`, "-m", name, ...(parent ? ["-p", parent] : []));
}

beforeEach(async () => {
  repo = server.path(`gate${++count}.git`);
  mkdirSync(repo);
  git("init", "--quiet", "--bare", "--initial-branch=main", repo);
  one = await child(null, "one");
  two = await child(one, "two");
  three = await child(two, "three");
  other = await child(one, "other");
});

describe("a push that had to wait", () => {
  const cases: [string, () => { old: string; sha: string; now: string | null }, boolean][] = [
    ["finds the branch where it was", () => ({ old: one, sha: two, now: one }), true],
    ["finds its own commit there already", () => ({ old: one, sha: two, now: two }), true],
    ["contains what came meanwhile", () => ({ old: one, sha: three, now: two }), true],
    ["lacks what came meanwhile", () => ({ old: one, sha: two, now: other }), false],
    ["is older than what came meanwhile", () => ({ old: one, sha: two, now: three }), false],
    ["was forced, and replaces what came meanwhile", () => ({ old: two, sha: other, now: three }), true],
    ["makes the branch", () => ({ old: NOWHERE, sha: two, now: null }), true],
    ["makes the branch, and another has made it", () => ({ old: NOWHERE, sha: two, now: other }), false],
    ["finds the branch deleted", () => ({ old: one, sha: two, now: null }), true],
  ];
  test.each(cases)("%s", async (_, at, isTaken) => {
    const { old, sha, now } = at();
    moveTo(now);
    const error = (await requireTip(repo, { ref: REF, old }, sha).catch((thrown: unknown) => thrown)) as DpError;
    if (isTaken) expect(error).toBeUndefined();
    else {
      expect([error.exit, error.hint]).toEqual(["superseded", "git pull, and push again"]);
      expect(error.message).toStartWith(`main moved to ${now!.slice(0, 7)} while this push waited`);
    }
    expect(tip()).toBe(now);
  });
});

describe("a push that had to wait for one whose commit git has not moved the branch to yet", () => {
  const cases: [string, () => { old: string; sha: string; now: string | null; landing: string }, boolean][] = [
    ["contains it", () => ({ old: one, sha: three, now: one, landing: two }), true],
    ["is that commit", () => ({ old: one, sha: two, now: one, landing: two }), true],
    ["lacks it", () => ({ old: one, sha: other, now: one, landing: two }), false],
    ["is older", () => ({ old: one, sha: two, now: one, landing: three }), false],
    ["makes the branch, as that one does", () => ({ old: NOWHERE, sha: other, now: null, landing: two }), false],
  ];
  test.each(cases)("%s", async (_, at, isTaken) => {
    const { old, sha, now, landing } = at();
    moveTo(now);
    const asked = requireTip(repo, { ref: REF, old }, sha, { old, sha: landing });
    const error = (await asked.catch((thrown: unknown) => thrown)) as DpError | undefined;
    expect(error?.message.slice(0, 21)).toBe(isTaken ? undefined : `main moved to ${landing.slice(0, 7)}`);
  });

  test("finds the branch elsewhere by now, and goes by that", async () => {
    moveTo(other);
    await requireTip(repo, { ref: REF, old: other }, other, { old: one, sha: two });
  });
});

describe("after a good deploy the branch is", () => {
  const push = () => ({ ref: REF, old: one });
  const receiving = receiver(); // this test's own parent: it runs

  test.each<[string, () => string | null]>([
    ["from where the push found it", () => one],
    ["from where somebody else put it", () => other],
    ["from nowhere", () => null],
  ])("at the commit when git has gone, %s", async (_, before) => {
    for (const gone of [undefined, "", "1:0", "garbage", `${process.ppid}:1`, `2147483647:5`]) {
      moveTo(before());
      await settleRef(repo, push(), two, gone);
      expect([gone, tip()]).toEqual([gone, two]);
    }
  });

  test.each<[string, () => string | null]>([
    ["there already", () => one],
    ["moved on by a resumed deploy", () => two],
  ])("where git expects it while git waits: %s", async (_, before) => {
    moveTo(before());
    await settleRef(repo, push(), two, receiving);
    expect(tip()).toBe(one);
  });

  test("nowhere while git waits to make it", async () => {
    for (const before of [null, two]) {
      moveTo(before);
      await settleRef(repo, { ref: REF, old: NOWHERE }, two, receiving);
      expect(tip()).toBeNull();
    }
  });
});
