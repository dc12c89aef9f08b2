// A full disk, or a missing right, in every step of every pipeline: the run ends and says so, or goes on without harm.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { expectRecovery } from "./invariants.ts";
import { expectEndsWell, preparePoints, STEPS, tryPlaces, type Points } from "./points.ts";

let points: Points;
beforeAll(async () => {
  points = await preparePoints();
});
afterAll(() => points?.box.stop());

describe.each(["enospc", "eacces"] as const)("%s", (fault) => {
  test.each(STEPS)("in a %s's step %s", async (kind, step) => {
    await tryPlaces(points, fault, kind, step, async (outcome, before) => {
      // 8: the host; 6: a program could not be started. No bug in dp is one of them.
      expect([0, 6, 8]).toContain(outcome.code);
      expect(outcome.text).not.toContain("a bug in dp");
      await expectRecovery(points.box, { before, outcome });
    });
  });
});

test("a deploy ends well after all of it, and current was there all the time", () => expectEndsWell(points));
