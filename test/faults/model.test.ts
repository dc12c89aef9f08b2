// Whatever happens, in whatever order: what is live is what a small model says, and every invariant holds.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { sandbox, type Sandbox } from "../support/sandbox.ts";
import { happen, liveSays, QUICK } from "./events.ts";
import { expectInvariants } from "./invariants.ts";
import { EVENTS, isPossible, predict, settles, type Event, type Model } from "./model.ts";
import { ALL_FAULTS } from "./points.ts";
import { random, seedOf } from "./seed.ts";

/** Events of one sequence. */
const LENGTH = 15;
/** Milliseconds for one sequence, when there is not time for all of it. */
const BUDGET = 20_000;
const LEAST = 5;

let box: Sandbox;
const model: Model = { live: "", tip: "", good: new Map(), open: null, isSettled: true, clock: 0 };

beforeAll(async () => {
  box = await sandbox();
  appendFileSync(join(box.base, "config.yml"), "keep: 4\nstopTimeout: 2s\n");
  for (const say of ["first", "second"]) {
    model.good.set(await box.release({ say, "deploy.yml": QUICK(box.app) }), say);
    model.live = model.tip = say;
  }
});
afterAll(() => box?.stop());

async function step(event: Event, pick: <T>(from: readonly T[]) => T): Promise<string> {
  const { says, outcome, how } = await happen(event, box, model, pick);
  const { live, open, succeeds } = predict(event, model, says);
  const line = `${event} ${how} → ${outcome.code}, ${box.link("current")} ${liveSays(box)}`;
  if (succeeds !== null)
    expect(`${line}: ${outcome.code === 0}\n${outcome.text}`).toStartWith(`${line}: ${succeeds}\n`);
  expect(live).toContain(liveSays(box));
  model.live = liveSays(box);
  if (event === "push") model.tip = says;
  // One that was to be killed at a place that it never came to has ended well.
  const isSpared = event.startsWith("killed") && outcome.code === 0;
  model.open = isSpared ? null : open;
  model.isSettled = isSpared || (settles(event) ?? model.isSettled);
  await expectInvariants(box, { isSettled: model.isSettled });
  const current = box.link("current")!;
  if (outcome.code === 0 && box.run(current).result?.state === "good" && box.run(current).facts["kind"] === "deploy")
    model.good.set(current, model.live);
  for (const id of model.good.keys()) if (!existsSync(join(box.base, "releases", id))) model.good.delete(id);
  return line;
}

async function sequence(seed: number): Promise<number> {
  const chance = random(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(chance() * from.length)]!;
  const end = performance.now() + BUDGET;
  const story: string[] = [];
  for (let count = 0; count < LENGTH; count++) {
    if (!ALL_FAULTS && count >= LEAST && performance.now() > end) break;
    const event = pick(EVENTS.filter((one) => isPossible(one, model)));
    try {
      story.push(await step(event, pick));
    } catch (error) {
      const told = [...story, `${event}: failed`].map((line) => `  ${line}`).join("\n");
      throw new Error(`DP_SEED=${seed}, after\n${told}`, { cause: error });
    }
  }
  return story.length;
}

test.each(["the same as always", "another each time"])(
  "a sequence of events, %s",
  async (which) => {
    const seed = which === "another each time" ? seedOf("model") : 1;
    const sequences = ALL_FAULTS ? 100 : 1;
    let events = 0;
    for (let index = 0; index < sequences; index++) events += await sequence(seed + index);
    console.log(`${which}: ${events} events`);
    expect(events).toBeGreaterThanOrEqual(LEAST);
  },
  3_600_000,
);
