// Every place of every run at which something can go wrong, as an undisturbed run of each pipeline passes them.
import { expect } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { deployYml, sandbox, type Outcome, type Sandbox } from "../support/sandbox.ts";
import type { Fault } from "../support/failpoint.ts";
import { watchCurrent, type CurrentWatch } from "./current-watch.ts";
import type { Kind } from "../../lib/pipeline/facts.ts";

/** Whether every place is tried, or a choice of them in which every step of every pipeline is. */
export const ALL_FAULTS = process.env["DP_FAULTS"] === "all";

const HOOKS = "build: echo built\nhooks:\n  preDeploy: ./pre.sh\n  postDeploy: ./post.sh\n";
const hook = (name: string) => `#!/bin/sh\necho "$DP_RELEASE" >> "$HOME/${name}.log"\n`;

/** Each step of each pipeline, as rows of a table. */
export const STEPS = (Object.keys(PIPELINES) as Kind[]).flatMap((kind) =>
  PIPELINES[kind].map((step) => [kind, step] as const),
);

/** What a step does in an undisturbed run: how many effects, and how many of them are programs. */
export interface StepPlaces {
  effects: number;
  children: number;
}

export interface Points {
  box: Sandbox;
  /** The files of another app, which nothing that is done to this one may touch. */
  others: string;
  watch: CurrentWatch;
  /** Kind -> step -> its places. */
  places: Record<Kind, Map<string, StepPlaces>>;
}

/** The arguments of dp that make a run of that kind. */
export const commandOf = (box: Sandbox, kind: Kind): string[] =>
  kind === "rollback" ? ["rollback", box.app, box.link("previous")!] : [kind, box.app];

const placesFile = (box: Sandbox) => join(box.root, "places");

/** Runs dp with a failpoint, `STEP:PLACE:FAULT`; answers how it ended, and which places were passed. */
export async function disturb(box: Sandbox, failpoint: string, args: string[]): Promise<[Outcome, string[]]> {
  rmSync(placesFile(box), { force: true });
  const env = { DP_TEST_FAILPOINT: failpoint, DP_TEST_PLACES: placesFile(box) };
  const outcome = await box.dpWith(env, ...args);
  const passed = existsSync(placesFile(box)) ? readFileSync(placesFile(box), "utf8").trimEnd().split("\n") : [];
  return [outcome, passed];
}

/** Whether a run that is under way has passed a place, `!swap:1` one with a fault. */
export const hasPassed = (box: Sandbox, place: string) =>
  existsSync(placesFile(box)) && readFileSync(placesFile(box), "utf8").includes(`${place} `);

/** The pid of the process that works on a run now. */
export const workerOf = (box: Sandbox) =>
  (JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid;

/** A sandbox with two good releases and hooks, and the places that its runs pass. `config`: more lines of config.yml. */
export async function preparePoints(config = ""): Promise<Points> {
  const box = await sandbox();
  try {
    appendFileSync(join(box.base, "config.yml"), `keep: 3\nstopTimeout: 2s\n${config}`);
    const files = { "deploy.yml": deployYml(box.app, HOOKS), "pre.sh": hook("pre"), "post.sh": hook("post") };
    await box.release(files);
    await box.release({ say: "two" });
    const places = {} as Points["places"];
    for (const kind of Object.keys(PIPELINES) as Kind[]) {
      const [outcome, passed] = await disturb(box, "", commandOf(box, kind));
      expect(`${outcome.code}\n${outcome.text}`).toStartWith("0\n");
      places[kind] = placesOf(passed);
    }
    return { box, watch: watchCurrent(box), others: othersOf(box), places };
  } catch (error) {
    await box.stop();
    throw error;
  }
}

/** The files of another app with their times and content, in one text; makes them when there are none. */
function othersOf(box: Sandbox): string {
  const folder = join(box.base, "../other/releases/1-abcdef0");
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    for (const name of ["app", "../../config.yml.tmp.1", "../.2-abcdef0.tmp.1"])
      writeFileSync(join(folder, name), name);
  }
  const files = [...new Bun.Glob("**").scanSync({ cwd: join(folder, "../.."), dot: true, absolute: true })].sort();
  return files.map((path) => `${path} ${statSync(path).mtimeMs} ${readFileSync(path, "utf8")}`).join("\n");
}

/** Steps in the order in which they began, with their places. */
function placesOf(passed: readonly string[]): Map<string, StepPlaces> {
  const found = new Map<string, StepPlaces>();
  for (const line of passed) {
    const [, step = "", place = "", what = ""] = /^(\S+):(\S+) (.*)$/.exec(line) ?? [];
    const so = found.get(step) ?? { effects: 0, children: 0 };
    found.set(step, so);
    if (/^\d+$/.test(place)) so.effects++;
    if (/^\d+$/.test(place) && what === "spawn") so.children++;
  }
  return found;
}

/** The places of a step at which a fault is tried; every one of them when DP_FAULTS is "all". */
export function chosen(fault: Fault, kind: Kind, { effects, children }: StepPlaces): string[] {
  const numbers = Array.from({ length: effects }, (_, index) => String(index + 1));
  const middle = effects === 0 ? "done" : String(Math.ceil(effects / 2));
  const child = children === 0 ? [] : ["spawned"];
  switch (fault) {
    case "kill":
      if (ALL_FAULTS) return ["begun", ...numbers, ...child, "done", "recorded"];
      return kind === "deploy" ? [middle, "recorded"] : [middle];
    case "term":
      return ALL_FAULTS ? ["begun", ...child, middle, "done", "recorded"] : [middle];
    case "enospc":
    case "eacces":
      // What cannot be recorded fails in the same way, whatever the reason.
      return ALL_FAULTS ? [...numbers, "done"] : fault === "enospc" ? [middle] : numbers.slice(0, 1);
    case "hang":
      return child;
  }
}

/** Tries one fault at the chosen places of a step: each must be reached. `then` is told what became of it. */
export async function tryPlaces(
  { box, places }: Points,
  fault: Fault,
  kind: Kind,
  step: string,
  then: (outcome: Outcome, before: string, place: string) => Promise<void>,
): Promise<void> {
  const known = places[kind].get(step);
  expect(`${kind} passes ${known ? step : "all but " + step}`).toBe(`${kind} passes ${step}`);
  for (const place of chosen(fault, kind, known!)) {
    const before = box.link("current")!;
    const [outcome, passed] = await disturb(box, `${step}:${place}:${fault}`, commandOf(box, kind));
    const reached = passed.find((line) => line.startsWith("!"));
    expect(`${reached?.split(" ")[0]}\n${reached ? "" : outcome.text}`).toBe(`!${step}:${place}\n`);
    await then(outcome, before, place);
  }
}

/** That nothing is left of all that was tried: a deploy ends well, and `current` was there at every moment. */
export async function expectEndsWell({ box, watch, others }: Points): Promise<void> {
  const outcome = await box.dp("deploy", box.app);
  expect(`${outcome.code}\n${outcome.text}`).toStartWith("0\n");
  const { missing, looks } = await watch.stop();
  expect(missing).toBe(0);
  expect(looks).toBeGreaterThan(100);
  expect(others).toContain("config.yml.tmp.1");
  expect(othersOf(box)).toBe(others);
}
