// A step as a module: only the facts that it declares go in, and only those that it promised come out.
import * as v from "valibot";
import { factOf, type Run } from "./run-file.ts";
import { fact, type FactName } from "./facts.ts";
import type { Io } from "../host/io.ts";
import { loadModule } from "../host/modules.ts";
import type { Facts, In, Step } from "./step.ts";
import type { StepFile } from "./step-files.ts";

/** The module of a step. */
export async function stepModule(file: StepFile): Promise<Step<Facts, Facts>> {
  return ((await loadModule(file.path)) as { default: Step<Facts, Facts> }).default;
}

/** Runs the step; answers its facts. Throws what it throws. */
export async function runModule(file: StepFile, run: Run, io: Io): Promise<Record<string, unknown>> {
  const step = await stepModule(file);
  const answer = (await step.run(parse(run, step.needs), io)) as Record<string, unknown>;
  for (const [name, schema] of Object.entries(step.provides)) {
    if (!v.is(schema, answer[name])) throw new Error(`step ${step.name} did not provide "${name}" as promised`);
  }
  return answer;
}

/** Undoes the step, if it has an undo. Throws what it throws. */
export async function undoModule(file: StepFile, run: Run, io: Io): Promise<void> {
  const step = await stepModule(file);
  if (!step.undo) return;
  const given = Object.keys(step.provides).filter((provided) => provided in run.facts) as FactName[];
  const partial = Object.fromEntries(given.map((provided) => [provided, factOf(run, provided, fact[provided])]));
  await step.undo({ ...parse(run, step.needs), ...partial }, io);
}

function parse<F extends Facts>(run: Run, facts: F): In<F> {
  return Object.fromEntries(Object.entries(facts).map(([name, schema]) => [name, factOf(run, name, schema)])) as In<F>;
}
