// The order of the steps: nothing is needed before it is there, and a wrong order is seen.
import { describe, expect, test } from "bun:test";
import { COMMIT, GIVEN, PIPELINES, stepsOf, TOGETHER, unmetNeeds } from "../../lib/pipeline/pipeline.ts";
import { stepModule } from "../../lib/pipeline/module-step.ts";
import type { Kind } from "../../lib/pipeline/facts.ts";
import { stepFile } from "../../lib/pipeline/step-files.ts";

const modules = (names: readonly string[]) => Promise.all(names.map((name) => stepModule(stepFile(name))));

describe.each(Object.keys(PIPELINES) as Kind[])("%s", (kind) => {
  test("every need is given or provided before", async () => {
    expect(unmetNeeds(kind, await modules(PIPELINES[kind]))).toEqual([]);
  });

  test.each(["lead", "peer"] as const)("the same for several servers, on the one that is the %s", async (as) => {
    const group = { as, name: "a", lead: "a", peers: {}, without: [], roles: {} };
    const steps = stepsOf(kind, group);
    expect(unmetNeeds(kind, await modules(steps))).toEqual([]);
    expect(steps.filter((name) => !Object.hasOwn(TOGETHER, name))).toEqual([...PIPELINES[kind]]);
    const own = steps.filter((name) => Object.hasOwn(TOGETHER, name));
    expect(own).toEqual(as === "lead" ? ["spread", "agree", "prove", "keep", "gather"] : ["agree", "prove"]);
    expect(steps.indexOf("agree")).toBe(steps.indexOf(COMMIT) - 1);
    expect(stepsOf(kind, null)).toBe(PIPELINES[kind]);
  });

  test("has the commit point, once", () => {
    expect(PIPELINES[kind].filter((name) => name === COMMIT)).toEqual([COMMIT]);
  });

  test("what is given is a fact, once", () => {
    expect(new Set(GIVEN[kind]).size).toBe(GIVEN[kind].length);
  });
});

test("a wrong order is told, step by step and fact by fact", async () => {
  const unmet = unmetNeeds("deploy", await modules(["read", "install", "clone", "swap", "check"]));
  expect(unmet).toEqual([
    "install: release",
    "install: adopted",
    "swap: port",
    "swap: pid",
    "swap: live",
    "check: port",
    "check: stoppedAt",
  ]);
});

test("what a rollback is given a deploy is not", async () => {
  expect(unmetNeeds("deploy", await modules(PIPELINES.rollback))).toContain("start: release");
});
