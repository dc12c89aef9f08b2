// SIGKILL in every step of every pipeline: all invariants hold then, and after dp reconcile, and the next run goes on.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { expectInvariants, expectRecovery } from "./invariants.ts";
import { QUICK } from "./events.ts";
import { ALL_FAULTS, disturb, expectEndsWell, preparePoints, STEPS, tryPlaces, type Points } from "./points.ts";
import type { Kind } from "../../lib/pipeline/facts.ts";

let points: Points;
beforeAll(async () => {
  points = await preparePoints();
});
afterAll(() => points?.box.stop());

test.each(Object.keys(PIPELINES) as Kind[])("the table has every step of a %s, in order", (kind) => {
  expect([...points.places[kind].keys()]).toEqual([...PIPELINES[kind]]);
});

test.each(STEPS)("a %s that is killed in %s", async (kind, step) => {
  const { box } = points;
  await tryPlaces(points, "kill", kind, step, async (outcome, before, place) => {
    const isOver = place === "recorded" && step === PIPELINES[kind].at(-1);
    expect(`${outcome.code}\n${outcome.text}`).toStartWith("143\n");
    expect(box.run().result?.state).toBe(isOver ? "good" : undefined);
    await expectRecovery(box, { before });
  });
});

test("a deploy that is killed on its way back, at each of its effects", async () => {
  const { box } = points;
  await box.commit({ mode: "unhealthy", "deploy.yml": QUICK(box.app) });
  await box.push("production", "HEAD:refs/heads/sick");
  const before = box.link("current")!;
  const [undisturbed, passed] = await disturb(box, "", ["deploy", box.app, "sick"]);
  expect(`${undisturbed.code}\n${undisturbed.text}`).toStartWith("7\n");
  const effects = passed.filter((line) => /^undo:\d+ /.test(line)).length;
  expect(effects).toBeGreaterThan(2);
  const all = Array.from({ length: effects }, (_, index) => index + 1);
  for (const number of ALL_FAULTS ? all : [1, Math.ceil(effects / 2), effects]) {
    const [outcome, reached] = await disturb(box, `undo:${number}:kill`, ["deploy", box.app, "sick"]);
    expect(`${outcome.code} ${reached.filter((line) => line.startsWith("!")).join()}`).toStartWith(
      `143 !undo:${number} `,
    );
    expect(box.run().result).toBeUndefined();
    await expectRecovery(box, { before });
    expect(box.link("current")).toBe(before);
  }
});

test("what was killed last is gone on with, and a second reconcile has nothing to do", async () => {
  const { box } = points;
  expect((await box.dpKilledAt("swap:2", "deploy", box.app)).code).toBe(143);
  await expectRecovery(box);
  expect((await box.dp("reconcile", box.app)).text).toContain("nothing to do");
  const resumed = await box.dp("resume", box.app);
  expect(`${resumed.code}\n${resumed.text}`).toStartWith("0\n");
  await expectInvariants(box, { isSettled: true });
});

test("a deploy ends well after all of it, and current was there all the time", () => expectEndsWell(points));
