// Pushes of every shape besides those of builtin.test.ts: what is deployed, what is refused, and nothing that gets lost.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LockStatus } from "../../lib/commands/lock.ts";
import { configure } from "../support/load-run.ts";
import { deployYml, isRunning, pidsWith, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let first: string;
beforeAll(async () => {
  box = await sandbox();
  await box.release({ say: "one" });
  first = (await box.git("rev-parse", "HEAD")).stdout.trim();
});
afterAll(() => box?.stop());
const door = () => join(box.root, "door");
const inside = () => join(box.root, "inside");
beforeEach(() => [door(), inside()].forEach((path) => rmSync(path, { force: true })));

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const tip = async () => (await box.git("--git-dir", box.repo, "rev-parse", "main")).stdout.trim();
const pushOf = (sha: string, ...more: string[]) => box.start(["git", "push", ...more, "production", `${sha}:main`]);
const quick = (say: string, more = "") => ({ say, "deploy.yml": deployYml("shop", more) });
const atDoor = () => `touch '${inside()}'; while [ ! -e '${door()}' ]; do sleep 0.02; done`;
const slow = (say: string) => quick(say, `build: ${JSON.stringify(atDoor())}\n`);
const status = async () => JSON.parse((await box.dp("lock", "status", "shop", "--json")).stdout) as LockStatus;
const waiting = async () => (await status()).waiting;
/** The working copy as the first commit, with nothing besides. */
async function fresh(sha = first): Promise<void> {
  await box.git("reset", "--quiet", "--hard", sha);
  await box.git("clean", "--quiet", "-fd");
}

describe("what cannot be deployed is refused, and neither branch nor app notices", () => {
  const outside = async () => {
    symlinkSync("../../../etc/passwd", join(box.code, "leak"));
    await box.commit({});
  };
  const shapes: [string, () => Promise<unknown>, RegExp][] = [
    ["a link that leads out", outside, /leak: a link out of the repository, to/],
    [
      "a deploy.yml that is a link",
      async () => {
        rmSync(join(box.code, "deploy.yml"));
        symlinkSync("server.py", join(box.code, "deploy.yml"));
        await box.commit({});
      },
      /deploy\.yml/,
    ],
    [
      "a deploy.yml under another name",
      () => box.commit({ "deploy.yml": null, "deploy.yaml": deployYml("shop") }),
      /deploy\.yml/,
    ],
    ["one that is no mapping", () => box.commit({ "deploy.yml": "- shop\n" }), /deploy\.yml:1/],
    [
      "one of another app",
      () => box.commit({ "deploy.yml": deployYml("other") }),
      /is for "other", and this is "shop"/,
    ],
  ];
  test.each(shapes)("%s", async (_, make, says) => {
    const before = [await tip(), box.link("current"), await box.answer()];
    try {
      await make();
      expect((await expectCode(box.push(), 1)).text).toMatch(says);
    } finally {
      await fresh();
    }
    expect([await tip(), box.link("current"), await box.answer()]).toEqual(before);
    expect(box.run().result?.state).toBe("failed");
  });

  test("more than the repository takes: git says so, and no run is begun", async () => {
    const limit = (...words: string[]) => box.git("--git-dir", box.repo, "config", "receive.maxInputSize", ...words);
    expect((await limit()).stdout).toBe("2g\n");
    await limit("20k");
    const before = [await tip(), ...box.ids()];
    await box.commit({ big: Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("base64") });
    const { text } = await expectCode(box.push(), 1);
    expect(text).toMatch(/pack exceeds maximum allowed size/);
    expect([await tip(), ...box.ids()]).toEqual(before);
    // What the operator chose is left alone.
    await expectCode(box.dp("setup", "shop"), 0);
    expect((await limit()).stdout).toBe("20k\n");
    await limit("2g");
    await fresh();
  });
});

describe("the deploying process", () => {
  test("that cannot start rejects the push with the reason, leaves a failed run, and the next push is as ever", async () => {
    const steps = join(box.root, "steps");
    mkdirSync(steps);
    writeFileSync(join(steps, "swap"), "#!/bin/sh\n", { mode: 0o755 });
    const sha = await box.commit(quick("two"));
    const pushed = await expectCode(box.start(["git", "push", "production", "main"], { DP_STEPS: steps }).done, 1);
    expect(pushed.text).toContain('a step named "swap" exists already');
    expect(box.run().result).toMatchObject({
      state: "failed",
      code: 2,
      error: expect.stringContaining('a step named "swap" exists already'),
    });
    expect(await tip()).toBe(first);
    await expectCode(box.push(), 0);
    expect([await tip(), await box.answer()]).toEqual([sha, `two ${box.link("current")}`]);
  });

  test("that leaves a daemon behind in its hook holds nobody up", async () => {
    const pid = join(box.root, "daemon");
    const hook = `setsid sh -c 'echo $$ > "$0"; exec sleep 86397' '${pid}' >/dev/null 2>&1 </dev/null &`;
    await box.release(
      quick(
        "daemon",
        `hooks: {preDeploy: ${JSON.stringify(`${hook} while [ ! -s '${pid}' ]; do sleep 0.02; done`)}}\n`,
      ),
    );
    expect((await expectCode(box.dp("lock", "status", "shop"), 0)).stdout).toBe("shop is free\n");
    const daemon = Number(readFileSync(pid, "utf8"));
    if (isRunning(daemon)) process.kill(daemon, "SIGKILL");
  });
});

describe("several pushes at once", () => {
  test("of five the first ends well, the last is deployed, and those between are told by whom they are superseded", async () => {
    const before = box.ids().length;
    const shas = [await box.commit(slow("push 1"))];
    for (const n of [2, 3, 4, 5]) shas.push(await box.commit(quick(`push ${n}`)));
    const pushes = [pushOf(shas[0]!)];
    await until("the first at its door", () => existsSync(inside()));
    for (const sha of shas.slice(1)) {
      const known = box.ids().length;
      pushes.push(pushOf(sha));
      await until("its run", () => box.ids().length > known);
    }
    // Those between have ended before the door is opened: only the newest waits.
    const middle = await Promise.all(pushes.slice(1, 4).map(({ done }) => expectCode(done, 1)));
    const fifth = (
      await until("the fifth alone", async () => {
        const all = await waiting();
        return all.length === 1 ? all : null;
      })
    )[0]!.id;
    writeFileSync(door(), "");
    await expectCode(pushes[0]!.done, 0);
    await expectCode(pushes[4]!.done, 0);

    const ids = box.ids().slice(before);
    expect(ids.map((id) => box.run(id).facts["sha"])).toEqual(shas);
    expect(ids.map((id) => box.run(id).result?.state)).toEqual([
      "good",
      "superseded",
      "superseded",
      "superseded",
      "good",
    ]);
    for (const { text } of middle) {
      expect(text).toMatch(new RegExp(`waiting for deploy ${ids[0]} by \\S+, since`));
      expect(text).toMatch(new RegExp(`superseded by (${ids.slice(2).join("|")}), which was pushed later`));
      expect(text).toContain("[remote rejected]");
    }
    expect([fifth, box.link("current"), box.link("previous")]).toEqual([ids[4]!, ids[4]!, ids[0]!]);
    expect([await tip(), await box.answer()]).toEqual([shas[4]!, `push 5 ${ids[4]}`]);
  });

  test("an older commit that waits behind a newer one does not take it back", async () => {
    const [older, newer] = [await box.commit(quick("older")), await box.commit(slow("newer"))];
    const ahead = pushOf(newer);
    await until("the newer at its door", () => existsSync(inside()));
    const behind = pushOf(older);
    await until("the older waits", async () => (await waiting()).length === 1);
    writeFileSync(door(), "");
    await expectCode(ahead.done, 0);
    expect((await expectCode(behind.done, 1)).text).toContain("main moved to");
    expect([await tip(), await box.answer()]).toEqual([newer, `newer ${box.link("current")}`]);
  });
});

describe("with gate: false", () => {
  beforeAll(() => configure(box, { gate: "false" }));
  afterAll(() => configure(box, { gate: "true" }));
  const hook = () => join(box.repo, "hooks/post-receive");
  const owed = () => existsSync(join(box.repo, "dp-owed"));

  test("an app that is locked accepts no push", async () => {
    const before = await tip();
    await expectCode(box.dp("lock", "shop", "-m", "not now"), 0);
    await box.commit(quick("locked out"));
    expect((await expectCode(box.push(), 1)).text).toMatch(/shop is locked by .*: not now[\s\S]*dp unlock shop/);
    expect([await tip(), owed()]).toEqual([before, false]);
    await expectCode(box.dp("unlock", "shop"), 0);
  });

  test("a push that was accepted is not lost when the machine goes down before its deploy: it is deployed at boot", async () => {
    const sha = await box.commit(quick("accepted"));
    // The power fails between git and its hook.
    renameSync(hook(), `${hook()}.away`);
    await expectCode(box.push(), 0);
    renameSync(`${hook()}.away`, hook());
    expect([await tip(), owed(), box.run().facts["sha"] === sha]).toEqual([sha, true, false]);
    expect((await box.dp("status", "shop")).stdout).toContain(
      `${sha.slice(0, 7)} was pushed but not deployed: dp reconcile shop`,
    );
    const { stdout } = await expectCode(box.dp("reconcile"), 0);
    expect(stdout).toContain(`deployed ${box.link("current")}, which was pushed but not deployed yet`);
    expect([await box.answer(), owed()]).toEqual([`accepted ${box.link("current")}`, false]);
    expect((await expectCode(box.dp("reconcile"), 0)).stdout).toBe("shop: nothing to do\n");
  });

  test("nor one that still waited for its turn then", async () => {
    await box.commit(slow("under way"));
    const ahead = box.start(["git", "push", "production", "main"]);
    await until("the first at its door", () => existsSync(inside()));
    const sha = await box.commit(quick("waited"));
    const behind = box.start(["git", "push", "production", "main"]);
    await until("the second waits", async () => (await waiting()).length === 1);
    const { running, waiting: behindIt } = await status();
    for (const { pid } of [...behindIt, running!]) process.kill(pid, "SIGKILL");
    for (const { done } of [ahead, behind]) await done;
    // As the launchers would have left it, had they been killed as well.
    const file = join(box.base, "runs", `${box.ids().at(-1)}.json`);
    const { result: _, ...run } = box.run();
    writeFileSync(file, JSON.stringify(run), { mode: 0o600 });
    await expectCode(box.dp("reconcile", "shop"), 0);
    expect([box.run().facts["sha"], await box.answer()]).toEqual([sha, `waited ${box.link("current")}`]);
    expect(pidsWith(inside())).toEqual([]);
  });

  test("a branch that has moved on meanwhile, or another branch, owes nothing", async () => {
    writeFileSync(join(box.repo, "dp-owed"), `${first}\n`);
    const before = box.ids();
    expect((await expectCode(box.dp("reconcile", "shop"), 0)).stdout).toBe("shop: nothing to do\n");
    await expectCode(box.push("production", "HEAD:refs/heads/idea"), 0);
    expect(box.ids()).toEqual(before);
  });
});
