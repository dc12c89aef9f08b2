// The only road by which a step runs or is undone, alone or in a row.
import * as v from "valibot";
import { factOf, load, save, type Run } from "./context.ts";
import { DpError, EXIT, messageOf } from "./errors.ts";
import { fact, type FactName } from "./facts.ts";
import { makeIo } from "./io.ts";
import { COMMIT, PIPELINES } from "./pipeline.ts";
import type { Receipt } from "./talk/receipt.ts";
import { runProgram } from "./program-step.ts";
import { stepFile, type StepFile } from "./registry.ts";
import type { Facts, In, Step } from "./step.ts";

/** A step's module. */
export async function stepModule(file: StepFile): Promise<Step<Facts, Facts>> {
  return ((await import(file.path)) as { default: Step<Facts, Facts> }).default;
}

/** Runs one step over a context file, and writes its facts and its journal there. Throws what the step throws. */
export async function runStep(name: string, context: string, receipt: Receipt, signal?: AbortSignal): Promise<void> {
  const file = stepFile(name);
  const startedAt = new Date().toISOString();
  const begun = performance.now();
  await record(context, name, { state: "running", startedAt });
  receipt.begin(name);
  try {
    const io = makeIo(receipt, signal);
    const facts = file.isModule ? await runModule(file, context, io) : await runProgram(file, context, io);
    const took = Math.round(performance.now() - begun);
    await record(context, name, { state: "ok", startedAt, took }, facts);
    receipt.end(name, took);
  } catch (error) {
    const took = Math.round(performance.now() - begun);
    receipt.end(name, took, true);
    await record(context, name, { state: "failed", startedAt, took, error: messageOf(error) });
    throw error;
  }
}

async function record(
  context: string,
  step: string,
  entry: Run["journal"][string],
  facts: Record<string, unknown> = {},
) {
  const run = await load(context);
  Object.assign(run.facts, facts);
  // The journal keeps the order in which the steps ran last.
  delete run.journal[step];
  run.journal[step] = entry;
  delete run.result;
  if (orderOf(run).every((name) => run.journal[name]?.state === "ok")) {
    run.result = { state: "good", code: EXIT.ok, endedAt: new Date().toISOString() };
  }
  await save(context, run);
}

/** The steps of the run's pipeline, in order. */
export function orderOf(run: Run): readonly string[] {
  return PIPELINES[factOf(run, "kind", fact.kind)];
}

async function runModule(file: StepFile, context: string, io: ReturnType<typeof makeIo>) {
  const step = await stepModule(file);
  const run = await load(context);
  const answer = (await step.run(parse(run, step.needs), io)) as Record<string, unknown>;
  for (const [name, schema] of Object.entries(step.provides)) {
    if (!v.is(schema, answer[name])) throw new Error(`step ${step.name} did not provide "${name}" as promised`);
  }
  return answer;
}

function parse<F extends Facts>(run: Run, facts: F): In<F> {
  return Object.fromEntries(Object.entries(facts).map(([name, schema]) => [name, factOf(run, name, schema)])) as In<F>;
}

/** Takes one step back, if it has a way back, and writes so in the journal. Throws what the step throws. */
export async function undoStep(name: string, context: string, receipt: Receipt): Promise<void> {
  const file = stepFile(name);
  const step = file.isModule ? await stepModule(file) : undefined;
  const run = await load(context);
  if (step?.undo) {
    const given = Object.keys(step.provides).filter((provided) => provided in run.facts) as FactName[];
    const partial = Object.fromEntries(given.map((provided) => [provided, factOf(run, provided, fact[provided])]));
    await step.undo({ ...parse(run, step.needs), ...partial }, makeIo(receipt));
  }
  const entry = run.journal[name];
  if (!entry) return;
  run.journal[name] = { ...entry, state: "undone" };
  delete run.result;
  await save(context, run);
}

/**
 * Runs the steps of the run's own pipeline that are not done yet, or those from `from` on. When one fails,
 * everything that ran is taken back, last first. After the commit point an abort is no longer heard: the
 * run first reaches its end. Throws the first error; DpError "stuck" when the way back failed too.
 */
export async function runPipeline(
  context: string,
  receipt: Receipt,
  options: { signal?: AbortSignal; from?: string } = {},
): Promise<void> {
  const order = orderOf(await load(context));
  const start = options.from === undefined ? 0 : order.indexOf(options.from);
  const committed = order.indexOf(COMMIT);
  for (const [index, name] of order.entries()) {
    const isForced = options.from !== undefined && index >= start;
    if (index < start || (!isForced && (await load(context)).journal[name]?.state === "ok")) continue;
    try {
      if (index <= committed) options.signal?.throwIfAborted();
      await runStep(name, context, receipt, index <= committed ? options.signal : undefined);
    } catch (error) {
      throw await goBack(context, receipt, error);
    }
  }
}

/** Takes back all that ran, writes the result, and answers the error that the run ends with. */
export async function goBack(context: string, receipt: Receipt, error: unknown): Promise<unknown> {
  const failures: DpError[] = [];
  const ran = orderOf(await load(context)).toReversed();
  for (const name of ran) {
    const state = (await load(context)).journal[name]?.state;
    if (state === undefined || state === "undone") continue;
    try {
      await undoStep(name, context, receipt);
    } catch (failure) {
      failures.push(stuck(name, context, error, failure));
      break; // what ran before it may need what it left
    }
  }
  const end = failures[0] ?? error;
  const run = await load(context);
  run.result = { state: "failed", code: exitCodeOf(end), error: messageOf(end), endedAt: new Date().toISOString() };
  await save(context, run);
  return end;
}

function stuck(step: string, context: string, first: unknown, second: unknown): DpError {
  const lines = second instanceof DpError ? second.lines : [];
  return new DpError("stuck", `${messageOf(first)}; and the way back failed at ${step}: ${messageOf(second)}`, {
    lines,
    hint: `mend the cause, then: dp step ${step} --undo --context ${context}`,
    cause: second,
  });
}

/** The exit code that an error ends dp with. */
export function exitCodeOf(error: unknown): number {
  return error instanceof DpError ? EXIT[error.exit] : EXIT.bug;
}
