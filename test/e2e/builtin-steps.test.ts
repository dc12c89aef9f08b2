// Steps one by one, by hand and in a script, come to the same as a deploy: there is only one road.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, project, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let context: string;
beforeAll(async () => {
  box = await sandbox();
  mkdirSync(join(box.root, "steps"));
  box.env["DP_STEPS"] = join(box.root, "steps");
  await box.release({ "deploy.yml": deployYml("shop", "build: echo built > built.txt\n") });
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}

const begin = async () => (await expectCode(box.dp("begin", "shop"), 0)).stdout.trim();
const idOf = (path: string) => /([^/]+)\.json$/.exec(path)![1]!;
const steps = async (kind = "deploy") => {
  const plan = JSON.parse((await expectCode(box.dp("plan", "--json"), 0)).stdout) as { steps: { name: string }[] };
  expect(kind).toBe("deploy");
  return plan.steps.map(({ name }) => name);
};

/** A run file without what differs between any two runs. */
function shape(id: string): unknown {
  const { version, facts, journal, result } = box.run(id);
  const { startedAt, healthyAt, stoppedAt, downtime, pid, live, previous, ...some } = facts;
  const { port, switchTime, swapProbes, verifyProbes, drainProbes, free, taken, ...rest } = some;
  const kinds = Object.fromEntries(
    Object.entries({
      ...{ startedAt, healthyAt, stoppedAt, downtime, pid, live, previous },
      ...{ port, switchTime, swapProbes, verifyProbes, drainProbes, free, taken },
    }).map(([name, value]) => [name, typeof value]),
  );
  const same = { version, rest, kinds, journal: Object.entries(journal).map(([step, { state }]) => [step, state]) };
  return {
    ...(JSON.parse(JSON.stringify(same).replaceAll(id, "ID")) as object),
    result: result?.state,
    keys: Object.keys(facts).sort(),
  };
}

describe("a deploy by hand", () => {
  test("dp begin, then every step file in the plan's order, leaves the run file that dp deploy leaves", async () => {
    await expectCode(box.dp("deploy", "shop"), 0);
    const composed = box.link("current")!;
    context = await begin();
    expect(box.run(idOf(context)).journal).toEqual({});
    for (const name of await steps())
      await expectCode(box.start([join(project, "steps", `${name}.ts`), context]).done, 0);
    const byHand = idOf(context);
    expect(shape(byHand)).toEqual(shape(composed));
    expect(box.link("current")).toBe(byHand);
    expect(box.link("previous")).toBe(composed);
    expect(await box.answer()).toBe(`one ${byHand}`);
    expect(Object.keys(box.instances())).toEqual([byHand]);
    const releases = await expectCode(box.dp("releases", "shop"), 0);
    expect(releases.stdout).toMatch(new RegExp(`${byHand} +good +live`));
  });

  test("dp step by --app works on the newest run, and a step twice ends in the same place", async () => {
    const before = readFileSync(join(box.base, "config.yml"), "utf8");
    for (const name of ["build", "swap", "retire", "prune"]) await expectCode(box.dp("step", name, "--app", "shop"), 0);
    expect(shape(idOf(context))).toMatchObject({ result: "good" });
    expect(box.link("current")).toBe(idOf(context));
    expect(readFileSync(join(box.base, "config.yml"), "utf8")).toBe(before);
  });

  test("--undo takes steps back, last first, and the release before serves again", async () => {
    const before = box.link("previous")!;
    await expectCode(box.dp("step", "swap", "--context", context, "--undo"), 0);
    expect(box.link("current")).toBe(before);
    await expectCode(box.dp("step", "start", "--context", context, "--undo"), 0);
    expect(await box.answer()).toBe(`one ${before}`);
    expect(Object.keys(box.instances())).toEqual([before]);
    expect(box.run(idOf(context)).journal["swap"]?.state).toBe("undone");
  });

  test("dp resume --from runs that step and all after it again", async () => {
    await expectCode(box.dp("resume", "shop", "--from", "start"), 0);
    expect(box.link("current")).toBe(idOf(context));
    expect(await box.answer()).toBe(`one ${idOf(context)}`);
    const wrong = await expectCode(box.dp("resume", "shop", "--from", "statr"), 2);
    expect(wrong.text).toMatch(/no step "statr"[\s\S]*start/);
  });

  test("dp fact prints one fact as it is, or all of them as JSON", async () => {
    expect((await expectCode(box.dp("fact", context, "id"), 0)).stdout).toBe(`${idOf(context)}\n`);
    expect(JSON.parse((await expectCode(box.dp("fact", context), 0)).stdout)).toEqual(box.run(idOf(context)).facts);
    const missing = await expectCode(box.dp("fact", context, "shaa"), 4);
    expect(missing.text).toMatch(/has no fact "shaa"[\s\S]*sha/);
  });

  test("a step while a deploy runs is refused with the deploy's name", async () => {
    const door = join(box.root, "door");
    await box.commit({ "deploy.yml": deployYml("shop", `build: while [ ! -e '${door}' ]; do sleep 0.02; done\n`) });
    const pushed = box.start(["git", "push", "production", "main"]);
    const running = await until(
      "the build",
      () => box.ids().at(-1) !== idOf(context) && box.run().journal["build"] && box.ids().at(-1),
    );
    const refused = await expectCode(box.dp("step", "prune", "--context", context), 5);
    expect(refused.text).toContain(`deploy ${running} by`);
    writeFileSync(door, "");
    await expectCode(pushed.done, 0);
  });
});

describe("a step in another language", () => {
  /** Writes an executable step of the operator's own. */
  function step(name: string, script: string): void {
    const path = join(box.root, "steps", name);
    rmSync(path, { force: true });
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }

  test("is listed, gets the run file's path, and its facts are kept", async () => {
    step("announce.sh", 'printf \'{"channel": "#%s", "port": 1}\' "$(basename "$1" .json)"; echo talk >&2');
    const path = await begin();
    for (const name of ["read", "clone", "announce"]) await expectCode(box.dp("step", name, "--context", path), 0);
    expect((await box.dp("step")).stdout).toContain("announce");
    expect(box.run(idOf(path)).facts).toMatchObject({ channel: `#${idOf(path)}`, port: 1 });
    expect(box.run(idOf(path)).journal["announce"]?.state).toBe("ok");
    for (const name of ["install", "build", "pre-deploy", "start", "check", "swap"])
      await expectCode(box.dp("step", name, "--context", path), 0);
    expect(await box.answer()).toBe(`one ${idOf(path)}`);
  });

  test.each([
    ["fails", "echo it went wrong >&2; exit 3", 6, /step announce .* exited with code 3[\s\S]*it went wrong/],
    ["prints no JSON", "echo hello", 6, /did not print exactly one JSON object[\s\S]*hello/],
    ["prints JSON that is no object", "echo '[1]'", 6, /printed \[1\], not a JSON object/],
    ["prints a fact of a wrong type", `echo '{"port": "eighty"}'`, 6, /fact "port" cannot be "eighty"/],
    ["prints a fact of a wrong name", `echo '{"../x": 1}'`, 6, /cannot be the name of a fact/],
  ])("that %s ends with the code of a failed command, and leaves the facts alone", async (_, script, code, says) => {
    step("announce.sh", script);
    const path = await begin();
    const before = box.run(idOf(path)).facts;
    const outcome = await expectCode(box.dp("step", "announce", "--context", path), code);
    expect(outcome.text).toMatch(says);
    expect(box.run(idOf(path)).facts).toEqual(before);
    expect(box.run(idOf(path)).journal["announce"]?.state).toBe("failed");
  });

  test("that prints nothing is done, and one that leaves a daemon behind does not hold dp", async () => {
    step("announce.sh", "sleep 86398 & echo '{}'");
    const path = await begin();
    await expectCode(box.dp("step", "announce", "--context", path), 0);
  });

  test("of the name of one of dp's own is refused", async () => {
    step("swap", "true");
    const outcome = await expectCode(box.dp("step", "swap", "--app", "shop"), 2);
    expect(outcome.text).toContain('a step named "swap" exists already');
    rmSync(join(box.root, "steps/swap"));
  });
});

describe("a run file that cannot be trusted is refused, exit 4", () => {
  test.each([
    [
      "of another version",
      (path: string) => writeFileSync(path, '{"version": 2, "facts": {}, "journal": {}}'),
      /version 2, but this dp reads version 1/,
    ],
    ["that is no JSON", (path: string) => writeFileSync(path, "{"), /not JSON/],
    ["that is something else", (path: string) => writeFileSync(path, '{"version": 1, "facts": []}'), /not a run file/],
    ["that others may write", (path: string) => chmodSync(path, 0o666), /nobody else may write it[\s\S]*chmod 600/],
    [
      "that lacks a fact",
      (path: string) => writeFileSync(path, '{"version": 1, "facts": {}, "journal": {}}'),
      /fact "app" is missing/,
    ],
  ])("%s", async (_, damage, says) => {
    const path = await begin();
    damage(path);
    const outcome = await expectCode(box.dp("step", "read", "--context", path), 4);
    expect(outcome.text).toMatch(says);
    rmSync(path);
  });

  test("that has no fact yet which the step needs: the step is named, and nothing happens", async () => {
    const path = await begin();
    const outcome = await expectCode(box.dp("step", "start", "--context", path), 4);
    expect(outcome.text).toMatch(/fact "config" is missing/);
    expect(await box.answer()).toEndWith(box.link("current")!);
    rmSync(path);
  });

  test("that does not exist, or that is a link", async () => {
    expect((await expectCode(box.dp("step", "read", "--context", "/nowhere.json"), 4)).text).toContain(
      "no such run file",
    );
    const link = join(box.root, "link.json");
    await box.start(["ln", "-s", context, link]).done;
    await expectCode(box.dp("step", "read", "--context", link), 4);
  });
});
