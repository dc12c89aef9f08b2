// Text of strangers at every exit of dp: a terminal that shows it gets characters, and no command among them.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, sandbox, SERVER, type Outcome, type Sandbox } from "../support/sandbox.ts";
import { inTerminal } from "../support/typed.ts";

/** A title, a cleared screen, C1's own start of a sequence, a line end of Unicode, a hidden space, a turned direction. */
const EVIL = "aa\x1b]0;PWNED\x07bb\x1b[2Jcc\u009b31mdd\u2028ee\u200bff\u202egg\x08hh\u{e0041}";
const HOSTILE = /[^\P{C}\n\t]|[\u2028\u2029\u200b\u{e0041}]/u;

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  Object.assign(box.env, { GIT_AUTHOR_NAME: `Eve ${EVIL}`, USER: `eve${EVIL}` });
  const python = SERVER.replace("while True:", `print(${JSON.stringify(EVIL)}, flush=True)\nwhile True:`);
  const build = `build: printf '%s\\n' "$(cat evil)"\n`;
  await box.commit(
    { "server.py": python, evil: EVIL, "deploy.yml": deployYml("shop", build), [`file ${EVIL}`]: "x" },
    EVIL,
  );
});
afterAll(() => box?.stop());

/** What was shown must be harmless, and has the words that the text is left with. */
function expectHarmless({ text }: Outcome, words?: RegExp): void {
  expect(HOSTILE.exec(text)?.[0]).toBeUndefined();
  if (words) expect(text).toMatch(words);
}

test("a push shows its subject, and what the build says", async () => {
  const pushed = await box.push();
  expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining("live: shop 1-")]);
  expectHarmless(
    pushed,
    /shop 1-\w+ "aa\\u001b\]0;PWNED\\u0007bb.*\\u\{9b\}31mdd\\u\{2028\}ee\\u\{200b\}ff\\u\{202e\}gg/,
  );
  expectHarmless(pushed, /\| aabbccdd eeffgghh/);
  expect(HOSTILE.test(box.log(box.ids()[0]!))).toBe(false);
});

test.each(["status", "status shop", "releases shop", "plan shop", "logs shop"])(
  "dp %s shows it without",
  async (words) => {
    const outcome = await box.dp(...words.split(" "));
    expect(outcome.code).toBe(0);
    expectHarmless(outcome, words.startsWith("plan") ? undefined : /aabbccdd eeffgghh/);
  },
);

test.each(["logs shop --deploy", "audit", "apps", "ps shop", "doctor shop", "fact"])(
  "dp %s shows nothing that acts",
  async (words) => expectHarmless(await box.dp(...words.split(" "))),
);

test.each(["status shop", "releases shop", "plan shop", "logs shop", "audit"])(
  "dp %s --json has all of it, escaped",
  async (words) => {
    const outcome = await box.dp(...words.split(" "), "--json");
    expect(outcome.code).toBe(0);
    expectHarmless(outcome);
    if (words.startsWith("releases")) expect(JSON.parse(outcome.stdout)[0].subject).toBe(EVIL);
  },
);

test("a program that asks for a fact gets it to the byte", async () => {
  const context = join(box.base, "runs", `${box.ids()[0]}.json`);
  expect((await box.dp("fact", context, "subject")).stdout).toBe(`${EVIL}\n`);
  const typed = inTerminal([box.program, "fact", context, "subject"], box.env);
  await typed.sees("aabbccdd eeffgghh");
  expect(await typed.done).toBe(0);
  expect(HOSTILE.test(typed.shown())).toBe(false);
});

test("the audit log can be read by any program", () => {
  expect(HOSTILE.test(readFileSync(join(box.root, "var/log/deployments/audit.log"), "utf8"))).toBe(false);
});

test("a branch that is stored only", async () => {
  const name = "evil\u009b31m\u2028\u200b\u202ename";
  const { text, ...pushed } = await box.push("production", `HEAD:refs/heads/${name}`);
  // The lines after these are the client's own, of git.
  const ours = text.split("\n").filter((line) => line.startsWith("remote:"));
  expectHarmless({ ...pushed, text: ours.join("\n") }, /evil.*name is stored/);
});

describe("a failure", () => {
  const yaml = JSON.stringify(EVIL);
  test.each([
    ["a value", deployYml("shop").replace("python", yaml)],
    ["a key", deployYml("shop", `${yaml}: 1\n`)],
    ["a path", deployYml("shop", `root: ${yaml}\n`)],
    ["a hook", deployYml("shop", `hooks: {preDeploy: ${yaml}}\n`)],
    ["an app", deployYml("shop").replace("shop", yaml)],
    ["a line of the build", deployYml("shop", `build: cat evil; exit 3\n`)],
    ["what the app says at its end", deployYml("shop").replace("exec python3 server.py", "cat evil; exit 3")],
  ])("of %s", async (_, text) => {
    await box.commit({ "deploy.yml": text }, EVIL);
    const pushed = await box.push();
    expect(pushed.code).toBe(1);
    expectHarmless(pushed);
    expectHarmless(await box.dp("status", "shop"));
    expectHarmless(await box.dp("logs", "shop", "--failed"));
  });

  test("of words that were typed", async () => {
    for (const words of [
      [`re${EVIL}`],
      ["status", EVIL],
      ["deploy", "shop", EVIL],
      ["rollback", "shop", EVIL],
      ["logs", "shop", EVIL],
    ]) {
      const outcome = await box.dp(...words);
      expect(outcome.code).toBe(2);
      expectHarmless(outcome);
    }
  });
});
