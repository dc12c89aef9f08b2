// Steps in any language: what they are given, what they may answer, and how they fail.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import { makeApp, runSteps, undo, useServer, type App } from "../support/core-server.ts";
import { makeRelease } from "../support/core-release.ts";
import { stepFile, stepFiles } from "../../lib/pipeline/step-files.ts";

const server = useServer();
let app: App;
let context: string;
let folder: string;
beforeEach(async () => {
  app = await makeApp();
  context = (await makeRelease(app, 1)).context;
  folder = server.path("steps");
  mkdirSync(folder);
  process.env["DP_STEPS"] = folder;
});
afterEach(() => {
  delete process.env["DP_STEPS"];
  rmSync(folder, { recursive: true });
});

/** An executable in DP_STEPS. */
function step(name: string, script: string, mode = 0o755): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), mode);
}
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("facts that are printed are saved, talk is shown, and the journal knows the step", async () => {
  step("greet.sh", `echo talk >&2; printf '{"port": 4711, "greeting": {"to": ["you"]}}'`);
  const said = await runSteps(context, "greet");
  const run = await load(context);
  expect(run.facts).toMatchObject({ port: 4711, greeting: { to: ["you"] }, app: app.app });
  expect(run.journal["greet"]?.state).toBe("ok");
  expect(said).toContain("  | talk");
});

test("the run file's path is the only argument, and the environment is dp's plain one", async () => {
  process.env["LEAKED"] = "yes";
  step("look", `printf '{"words": "%s", "count": %d, "leaked": "%s", "steps": "%s"}' "$*" $# "$LEAKED" "$DP_STEPS"`);
  await runSteps(context, "look");
  delete process.env["LEAKED"];
  expect((await load(context)).facts).toMatchObject({ words: context, count: 1, leaked: "", steps: folder });
});

test("no output is no facts; nothing is left beside the run file", async () => {
  step("quiet", "true");
  await runSteps(context, "quiet", "quiet");
  expect(readdirSync(dirname(context))).toEqual(["1-aaaaaaa.json"]);
});

test("a daemon that it leaves behind, with its output open, does not hold the deploy", async () => {
  step("leave", `sleep 1000 & printf '{"left": %d}' $!`);
  await runSteps(context, "leave");
  process.kill(Number((await load(context)).facts["left"]), "SIGKILL");
});

test("much output on both sides arrives", async () => {
  step(
    "much",
    `i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; printf '{"text": "'; head -c 300000 /dev/zero | tr '\\0' x; printf '"}'`,
  );
  const said = await runSteps(context, "much");
  expect(said.filter((line) => line.startsWith("  | line ")).length).toBe(3000);
  expect(String((await load(context)).facts["text"]).length).toBe(300_000);
});

test("it has no way back of its own: undone is a word in the journal", async () => {
  step("greet", "true");
  await runSteps(context, "greet");
  await undo("greet", context);
  expect((await load(context)).journal["greet"]?.state).toBe("undone");
});

describe("fails", () => {
  test("with its words, and its code is in the text", async () => {
    step("bad", `printf '{"port": 1}'; echo it is broken >&2; exit 3`);
    const error = await errorOf(runSteps(context, "bad"));
    expect(error?.exit).toBe("command");
    expect(error?.message).toBe(`step bad (${join(folder, "bad")}) exited with code 3`);
    expect(error?.lines).toEqual(["it is broken"]);
    expect((await load(context)).facts["port"]).toBeUndefined();
    expect((await load(context)).journal["bad"]?.state).toBe("failed");
  });

  test.each([
    ["hello", "did not print exactly one JSON object"],
    ['{"port": 1} {"port": 2}', "did not print exactly one JSON object"],
    ["[1]", "not a JSON object"],
    ["null", "not a JSON object"],
    ['"text"', "not a JSON object"],
    ['{"port": "4711"}', 'fact "port" cannot be "4711"'],
    ['{"release": "relative"}', 'fact "release" cannot be "relative"'],
    ['{"Port": 1}', '"Port" cannot be the name of a fact'],
    ['{"a-b": 1}', '"a-b" cannot be the name of a fact'],
    ['{"__proto__": {}}', '"__proto__" cannot be the name of a fact'],
  ])("when it prints %s", async (text, words) => {
    step("bad", `cat <<'END'\n${text}\nEND`);
    const error = await errorOf(runSteps(context, "bad"));
    expect(error?.exit).toBe("command");
    expect(error?.message).toContain(words);
    expect((await load(context)).journal["bad"]?.state).toBe("failed");
  });

  test("not for a fact of its own whose name every object has", async () => {
    step("odd", `printf '{"constructor": 1, "valueOf": 2}'`);
    await runSteps(context, "odd");
    expect((await load(context)).facts).toMatchObject({ valueOf: 2 });
  });

  test("when its interpreter is missing", async () => {
    writeFileSync(join(folder, "bad"), "#!/no/such/interpreter\n", { mode: 0o755 });
    expect((await errorOf(runSteps(context, "bad")))?.exit).toBe("host");
  });
});

describe("the folder DP_STEPS", () => {
  test("gives every executable, by its name without extension", () => {
    step("one.sh", "true");
    step("two", "true");
    step("notes.txt", "", 0o644);
    mkdirSync(join(folder, "sub"));
    const own = stepFiles().filter(({ isModule }) => !isModule);
    expect(own.map(({ name }) => name).sort()).toEqual(["one", "two"]);
    expect(stepFile("one").path).toBe(join(folder, "one.sh"));
  });

  test("cannot replace a step of dp, nor have two of one name", () => {
    step("swap.sh", "true");
    expect(() => stepFiles()).toThrow('a step named "swap" exists already');
    rmSync(join(folder, "swap.sh"));
    step("one.sh", "true");
    step("one.py", "true");
    expect(() => stepFiles()).toThrow('a step named "one" exists already');
  });

  test("must be named absolutely", () => {
    process.env["DP_STEPS"] = "steps";
    expect(() => stepFiles()).toThrow("DP_STEPS must be an absolute path");
  });

  test("that is not there is told, and is no bug of dp", () => {
    process.env["DP_STEPS"] = join(folder, "missing");
    const error = (() => {
      try {
        return stepFiles();
      } catch (thrown) {
        return thrown as DpError;
      }
    })() as DpError;
    expect(error.exit).toBe("usage");
    expect(error.message).toContain(join(folder, "missing"));
  });
});
