// The only place where a step is run or undone, alone or in a row.
import { conclude, factOf, load, save, type Run } from "./run-file.ts";
import { DpError, EXIT, exitCodeOf, hostError, messageOf } from "../errors.ts";
import { fact } from "./facts.ts";
import { makeIo, type Io } from "../host/io.ts";
import { stepLimit, within } from "./limit.ts";
import { runModule, undoModule } from "./module-step.ts";
import { COMMIT, stepsOf } from "./pipeline.ts";
import { runProgram } from "./program-step.ts";
import type { Receipt } from "./receipt.ts";
import { stepFile, type StepFile } from "./step-files.ts";

/** Options of a step that runs in a row. */
interface InRow {
  signal?: AbortSignal | undefined;
  /** The run as it was last saved, when its journal already says "running". */
  begun?: Run | undefined;
  /** The step after this one: its "running" is saved together with this one's "ok", unless `signal` is aborted. */
  next?: string | undefined;
}

/**
 * Runs one step over a run file, and writes its facts and its journal there. Throws what the step throws; answers the
 * saved run when `next` is marked as running in it.
 */
export async function runStep(
  name: string,
  runFile: string,
  receipt: Receipt,
  row: InRow = {},
): Promise<Run | undefined> {
  const file = stepFile(name);
  const { signal } = row;
  const startedAt = isoNow();
  const begun = performance.now();
  const run = row.begun ?? (await record(runFile, await load(runFile), { [name]: { state: "running", startedAt } }));
  receipt.begin(name);
  try {
    const work = (stop: AbortSignal) => perform(file, runFile, run, makeIo(receipt, stop));
    const facts = await within(stepLimit(run), `step ${name}`, signal, work);
    const took = Math.round(performance.now() - begun);
    const next = signal?.aborted ? undefined : row.next;
    const follows: Journal = next === undefined ? {} : { [next]: { state: "running", startedAt: isoNow() } };
    const saved = await record(runFile, run, { [name]: { state: "ok", startedAt, took }, ...follows }, facts);
    receipt.end(name, took);
    return next === undefined ? undefined : saved;
  } catch (error) {
    const took = Math.round(performance.now() - begun);
    receipt.end(name, took, true);
    await record(runFile, run, { [name]: { state: "failed", startedAt, took, error: messageOf(error) } });
    throw error;
  }
}

type Journal = Run["journal"];
const isoNow = () => new Date().toISOString();

// One save for everything, because each save costs two waits for the disk. Answers the saved run; `before` is not
// changed.
async function record(runFile: string, before: Run, entries: Journal, facts: Record<string, unknown> = {}) {
  // The journal keeps the order of the last runs.
  const others = Object.entries(before.journal).filter(([step]) => !(step in entries));
  const journal = { ...Object.fromEntries(others), ...entries };
  const run: Run = { version: before.version, facts: { ...before.facts, ...facts }, journal };
  if (orderOf(run).every((name) => journal[name]?.state === "ok")) {
    run.result = { state: "good", code: EXIT.ok, endedAt: isoNow() };
  }
  await save(runFile, run);
  return run;
}

/** The steps of the run's pipeline, in order. */
export function orderOf(run: Run): readonly string[] {
  return stepsOf(factOf(run, "kind", fact.kind), factOf(run, "group", fact.group));
}

// Runs the step, in whatever language it is written; answers its facts.
function perform(file: StepFile, runFile: string, run: Run, io: Io): Promise<Record<string, unknown>> {
  return file.isModule ? runModule(file, run, io) : runProgram(file, runFile, run, io);
}

/** Undoes one step, if it has an undo, and writes that into the journal. Throws what the step throws. */
export async function undoStep(name: string, runFile: string, receipt: Receipt): Promise<void> {
  const file = stepFile(name);
  const run = await load(runFile);
  if (file.isModule) {
    const what = `the undo of step ${name}`;
    await within(stepLimit(run), what, undefined, (stop) => undoModule(file, run, makeIo(receipt, stop)));
  }
  const entry = run.journal[name];
  if (!entry) return;
  run.journal[name] = { ...entry, state: "undone" };
  delete run.result;
  await save(runFile, run);
}

/**
 * Runs the unfinished steps of the run's own pipeline, or all from `from` on. When one fails, all that ran are undone,
 * last first. After the commit point an abort is ignored until the run has reached its end. Throws the first error;
 * DpError "stuck" when the undo failed, too.
 */
export async function runPipeline(
  runFile: string,
  receipt: Receipt,
  options: { signal?: AbortSignal; from?: string } = {},
): Promise<void> {
  const run = await load(runFile);
  const order = orderOf(run);
  const isDue = (name: string) => run.journal[name]?.state !== "ok";
  const due = options.from === undefined ? order.filter(isDue) : order.slice(order.indexOf(options.from));
  let begun: Run | undefined;
  for (const [index, name] of due.entries()) {
    const signal = order.indexOf(name) <= order.indexOf(COMMIT) ? options.signal : undefined;
    try {
      signal?.throwIfAborted();
      begun = await runStep(name, runFile, receipt, { signal, begun, next: due[index + 1] });
    } catch (error) {
      throw await undoAll(runFile, receipt, hostError(error));
    }
  }
}

/** Undoes all that ran, writes the result, and answers the error that the run ends with. */
export async function undoAll(runFile: string, receipt: Receipt, error: unknown): Promise<unknown> {
  const failures: DpError[] = [];
  const ran = orderOf(await load(runFile)).toReversed();
  for (const name of ran) {
    const state = (await load(runFile)).journal[name]?.state;
    if (state === undefined || state === "undone") continue;
    try {
      await undoStep(name, runFile, receipt);
    } catch (failure) {
      failures.push(stuck(name, runFile, error, failure));
      break; // the steps before this one may need what its failed undo left
    }
  }
  const end = failures[0] ?? error;
  await conclude(runFile, { state: "failed", code: exitCodeOf(end), error: messageOf(end) });
  return end;
}

function stuck(step: string, runFile: string, first: unknown, second: unknown): DpError {
  const lines = second instanceof DpError ? second.lines : [];
  return new DpError("stuck", `${messageOf(first)}; and the undo failed at ${step}: ${messageOf(second)}`, {
    lines,
    hint: `mend the cause, then: dp step ${step} --undo --context ${runFile}`,
    cause: second,
  });
}
