// A deploy whose process is killed at any place is finished by `dp resume`, or by the next deploy, as if nothing had been.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import type { Status } from "../../lib/commands/status.ts";
import { deployYml, sandbox, type Outcome, type Sandbox } from "../support/sandbox.ts";

const KILLED = 143;
const HOOKS = 'build: echo built >> "$HOME/build.log"\nhooks:\n  preDeploy: ./pre.sh\n  postDeploy: ./post.sh\n';
const hook = (name: string) => `#!/bin/sh\necho "$DP_RELEASE" >> "$HOME/${name}.log"\n`;

let box: Sandbox;
let undisturbed: ReturnType<typeof facts>;
beforeAll(async () => {
  box = await sandbox();
  await box.commit({
    "deploy.yml": deployYml("shop", HOOKS),
    "pre.sh": hook("pre"),
    "post.sh": hook("post"),
  });
  await expectCode(box.push(), 0);
  await expectCode(box.dp("deploy", "shop"), 0);
  undisturbed = facts(box.run());
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}

/** The facts of a run, without what must differ between two runs: its own ID and numbers, times, processes. */
function facts({ facts: { id, live, previous, ...all } }: Run): Record<string, unknown> {
  const { startedAt: _1, healthyAt: _2, stoppedAt: _3, downtime: _4, pid: _5, port: _6, switchTime: _7, ...more } = all;
  const { swapProbes: _8, verifyProbes: _9, drainProbes: _10, free: _11, taken: _12, ...rest } = more;
  const text = JSON.stringify({ ...rest, hasLive: live !== null, hasPrevious: previous !== null });
  return JSON.parse(text.replaceAll(String(id), "ID")) as Record<string, unknown>;
}

const lines = (name: string) => {
  const path = join(box.base, "home", `${name}.log`);
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
};

const status = async () => JSON.parse((await expectCode(box.dp("status", "shop", "--json"), 0)).stdout) as Status;

/** Files that nobody would miss and nobody removes. */
function leftovers(): string[] {
  const names = [...new Bun.Glob("**/{*tmp*,*.out.*}").scanSync({ cwd: box.base, dot: true, onlyFiles: false })];
  const queue = [...new Bun.Glob("*").scanSync({ cwd: join(box.base, "queue") })];
  return [...names, ...queue].filter((name) => !name.startsWith("home/"));
}

/** What an undisturbed deploy leaves, and nothing else. */
async function expectWell(id: string, before: string): Promise<void> {
  expect(await box.answer()).toBe(`one ${id}`);
  expect(box.link("current")).toBe(id);
  expect(box.link("previous")).toBe(before);
  expect(Object.keys(box.instances())).toEqual([id]);
  expect(box.instances()[id]!.length).toBe(1);
  expect(readFileSync(join(box.base, "instances/enabled"), "utf8")).toBe(`${id}\n`);
  const run = box.run(id);
  expect(run.result).toMatchObject({ state: "good", code: 0 });
  expect(Object.entries(run.journal).map(([step, { state }]) => `${step} ${state}`)).toEqual(
    PIPELINES.deploy.map((step) => `${step} ok`),
  );
  expect(facts(run)).toEqual(undisturbed);
  expect(run.facts["live"]).toBe(before);
  expect(lines("pre")).toContain(id);
  expect(lines("post").filter((line) => line === id).length).toBeGreaterThanOrEqual(1);
  expect(leftovers()).toEqual([]);
  expect(await status()).toMatchObject({ live: id, isHealthy: true, strays: [], deploying: null, lastFailure: null });
}

/** Kills a deploy there; answers the run, or null when the deploy never came to that place. */
async function killAt(failpoint: string): Promise<string | null> {
  const { code, text } = await box.dpKilledAt(failpoint, "deploy", "shop");
  if (code === 0) return null;
  if (code !== KILLED) throw new Error(`${failpoint}: exited with code ${code}\n${text}`);
  const id = box.ids().at(-1)!;
  expect((await status()).deploying).toBeNull();
  // Whatever it was, current is a release that was proved healthy.
  const live = box.link("current")!;
  expect(box.run(live).journal["check"]?.state).toBe("ok");
  return id;
}

async function expectResumed(failpoint: string): Promise<boolean> {
  const before = box.link("current")!;
  const id = await killAt(failpoint);
  if (id === null) return false;
  await expectCode(box.dp("resume", "shop"), 0);
  await expectWell(id, before);
  return true;
}

describe("kill -9, then dp resume", () => {
  const each = PIPELINES.deploy.flatMap((step) => [`${step}:spawned`, `${step}:done`, `${step}:recorded`]);
  const places = ["read:begun", ...each];

  test.each(places.filter((place) => place !== "prune:recorded"))("at %s", async (place) => {
    // A step that starts no program has no such place.
    expect((await expectResumed(place)) || place.endsWith(":spawned")).toBe(true);
  });

  test("after the last step there is nothing to resume", async () => {
    const before = box.link("current")!;
    const id = await killAt("prune:recorded");
    const resumed = await expectCode(box.dp("resume", "shop"), 0);
    expect(resumed.text).toContain("nothing to resume");
    await expectWell(id!, before);
  });
});

describe("kill -9, then the next deploy", () => {
  test.each(["clone:spawned", "check:done", "swap:3"])(
    "at %s, before the switch: it is taken back first",
    async (place) => {
      const before = box.link("current")!;
      const killed = (await killAt(place))!;
      const next = await expectCode(box.dp("deploy", "shop"), 0);
      expect(next.text).toContain(`deploy ${killed} was interrupted and is taken back first`);
      expect(box.run(killed).result).toMatchObject({ state: "failed" });
      await expectWell(box.ids().at(-1)!, before);
    },
  );

  test("between the two links the front is not pointed yet: while it is, previous names what was live", async () => {
    const before = box.link("current")!;
    const killed = (await killAt("swap:4"))!;
    expect([box.link("current"), await box.answer()]).toEqual([killed, `one ${before}`]);
    await expectCode(box.dp("resume", "shop"), 0);
    await expectWell(killed, before);
  });

  test.each(["swap:4", "verify:done", "retire:1", "post-deploy:spawned"])(
    "at %s, after the switch: it is finished first",
    async (place) => {
      const killed = (await killAt(place))!;
      const next = await expectCode(box.dp("deploy", "shop"), 0);
      expect(next.text).toContain(`deploy ${killed} was interrupted and is finished first`);
      expect(box.run(killed).result).toMatchObject({ state: "good" });
      await expectWell(box.ids().at(-1)!, killed);
    },
  );

  test("a push of the next commit ends well, too", async () => {
    const killed = (await killAt("start:done"))!;
    await box.commit({ note: "next" });
    const pushed = await expectCode(box.push(), 0);
    expect(pushed.text).toContain(`deploy ${killed} was interrupted`);
    expect(await box.answer()).toBe(`one ${box.link("current")}`);
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
    await expectCode(box.dp("deploy", "shop"), 0);
    undisturbed = facts(box.run());
  });

  test("dp reconcile brings the live release back, and resume still ends what was begun", async () => {
    const before = box.link("current")!;
    const killed = (await killAt("start:done"))!;
    await expectCode(box.dp("reconcile", "shop"), 0);
    expect(await box.answer()).toBe(`one ${before}`);
    expect(Object.keys(box.instances())).toEqual([before]);
    await expectCode(box.dp("resume", "shop", "--from", "start"), 0);
    await expectWell(killed, before);
  });
});

describe("a rollback that is killed", () => {
  test.each(["start:spawned", "check:recorded", "swap:4", "retire:done"])(
    "at %s is finished by dp resume",
    async (place) => {
      await expectCode(box.dp("deploy", "shop"), 0);
      const [from, to] = [box.link("current")!, box.link("previous")!];
      expect((await box.dpKilledAt(place, "rollback", "shop", to)).code).toBe(KILLED);
      await expectCode(box.dp("resume", "shop"), 0);
      expect([box.link("current"), box.link("previous")]).toEqual([to, from]);
      expect(await box.answer()).toBe(`one ${to}`);
      expect(Object.keys(box.instances())).toEqual([to]);
      expect(box.run().result).toMatchObject({ state: "good" });
      expect(leftovers()).toEqual([]);
    },
  );
});
