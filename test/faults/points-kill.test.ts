// SIGKILL in every step of every pipeline: all invariants hold then, and after dp reconcile, and the next run goes on.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { PIPELINES, type Kind } from "../../lib/pipeline.ts";
import { expectInvariants, expectRecovery } from "./invariants.ts";
import { expectEndsWell, preparePoints, STEPS, tryPlaces, type Points } from "./points.ts";

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
