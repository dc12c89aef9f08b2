// git push -o: what dp knows, what it refuses, and how the gate hears of it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { notedPushOptions, notePushOptions, pushOptions } from "../../lib/deploy/push-options.ts";

/** The environment in which git starts a hook. */
const env = (...options: string[]): NodeJS.ProcessEnv => ({
  GIT_PUSH_OPTION_COUNT: String(options.length),
  ...Object.fromEntries(options.map((option, index) => [`GIT_PUSH_OPTION_${index}`, option])),
});

let repo: string;
beforeEach(() => {
  repo = mkdtempSync(join(tmpdir(), "dp-options-"));
});
afterEach(() => rmSync(repo, { recursive: true }));
const notes = () => join(repo, "dp-push-options");
const mine = () => join(notes(), String(process.ppid));

test.each([
  [[], { "skip-hooks": false, "dry-run": false }],
  [["skip-hooks"], { "skip-hooks": true, "dry-run": false }],
  [["dry-run", "skip-hooks"], { "skip-hooks": true, "dry-run": true }],
  [["wait=30s"], { "skip-hooks": false, "dry-run": false, wait: 30_000 }],
  [["wait=5m", "wait=0"], { "skip-hooks": false, "dry-run": false, wait: 0 }],
  [["without=b,c", "without=d"], { "skip-hooks": false, "dry-run": false, without: ["b", "c", "d"] }],
])("%j", (given, expected) => expect(pushOptions(env(...given))).toEqual(expected));

test("without git's own variables there is none", () => {
  expect(pushOptions({})).toEqual({ "skip-hooks": false, "dry-run": false });
});

test.each([
  "skiphooks",
  "",
  "Dry-Run",
  "skip-hooks ",
  "wait",
  "wait=",
  "wait=soon",
  "wait=-1",
  "without",
  "without=",
  "without=B",
  "without=b,",
])("%j is refused, with what there is", (option) => {
  const error = (() => {
    try {
      return void pushOptions(env("dry-run", option));
    } catch (thrown) {
      return thrown as DpError;
    }
  })();
  expect([error?.exit, error?.message]).toEqual([
    "usage",
    `unknown push option ${JSON.stringify(option)}; dp knows skip-hooks, dry-run, wait=30s, without=SERVER`,
  ]);
});

describe("the note for the gate", () => {
  test("says what pre-receive was told, to dp alone", async () => {
    await notePushOptions(repo, env("dry-run"));
    expect(await notedPushOptions(repo)).toEqual({ "skip-hooks": false, "dry-run": true });
    expect([statSync(notes()).mode & 0o777, statSync(mine()).mode & 0o777]).toEqual([0o700, 0o600]);
  });

  test("of no options replaces one that an earlier push of the same number left", async () => {
    await notePushOptions(repo, env("skip-hooks"));
    await notePushOptions(repo, env());
    expect(await notedPushOptions(repo)).toEqual({ "skip-hooks": false, "dry-run": false });
  });

  test("that is missing means none", async () => {
    expect(await notedPushOptions(repo)).toEqual({ "skip-hooks": false, "dry-run": false });
  });

  test("is not made for an option that is refused", async () => {
    await expect(notePushOptions(repo, env("nonsense"))).rejects.toThrow("unknown push option");
    expect(existsSync(mine())).toBe(false);
  });

  test("of a push that is over goes with the next one, those under way stay", async () => {
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    mkdirSync(notes(), { mode: 0o700 });
    const names = [String(gone.pid), String(process.pid)];
    for (const name of names) writeFileSync(join(notes(), name), "[]");
    await notePushOptions(repo, env());
    expect(readdirSync(notes()).sort()).toEqual([String(process.pid), String(process.ppid)].sort());
  });
});
