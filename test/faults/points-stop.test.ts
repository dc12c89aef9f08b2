// SIGTERM in every step of every pipeline, and programs that never end: before the switch all is taken back.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { COMMIT, PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { until } from "../support/sandbox.ts";
import { expectRecovery } from "./invariants.ts";
import {
  chosen,
  commandOf,
  disturb,
  expectEndsWell,
  hasPassed,
  preparePoints,
  STEPS,
  tryPlaces,
  workerOf,
  type Points,
} from "./points.ts";
import type { Kind } from "../../lib/pipeline/facts.ts";

let points: Points;
beforeAll(async () => {
  points = await preparePoints("stepTimeout: 2s\n");
});
afterAll(() => points?.box.stop());

const isBefore = (kind: Kind, step: string) => PIPELINES[kind].indexOf(step as never) < PIPELINES[kind].indexOf(COMMIT);

test.each(STEPS)("SIGTERM to a %s in %s", async (kind, step) => {
  await tryPlaces(points, "term", kind, step, async (outcome, before) => {
    // In the step of the switch itself it may come too late.
    const codes = isBefore(kind, step) ? [143] : step === COMMIT ? [0, 143] : [0];
    expect(`${outcome.code}\n${outcome.text}`).toMatch(new RegExp(`^(${codes.join("|")})\n`));
    if (outcome.code !== 0) expect(outcome.text).toContain("stopped by SIGTERM");
    await expectRecovery(points.box, { before, outcome });
  });
});

describe("a program that never ends", () => {
  // Those for which config.yml has no limit of their own are ended by hand.
  const withLimit = new Set(["clone", "build", "pre-deploy", "post-deploy"]);

  test.each(STEPS)("in %s's %s", async (kind, step) => {
    const { box } = points;
    const known = points.places[kind].get(step)!;
    for (const place of chosen("hang", kind, known)) {
      const before = box.link("current")!;
      const running = disturb(box, `${step}:${place}:hang`, commandOf(box, kind));
      if (!withLimit.has(step)) {
        await until(`the hang of ${step}`, () => hasPassed(box, `!${step}:${place}`));
        process.kill(workerOf(box), "SIGTERM");
      }
      const [outcome] = await running;
      if (isBefore(kind, step)) expect(`${outcome.code}\n${outcome.text}`).toMatch(/^(6|143)\n/);
      await expectRecovery(box, { before, outcome });
    }
  });
});

test("a deploy ends well after all of it, and current was there all the time", () => expectEndsWell(points));
