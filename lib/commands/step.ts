// `dp step`: lists the steps, or runs or undoes one, or undoes all of a run, over the same run file as in a deploy.
import { basename, resolve } from "node:path";
import { load } from "../pipeline/run-file.ts";
import { audit, resultOf } from "../host/audit.ts";
import { DpError, EXIT, exitCodeOf } from "../errors.ts";
import { redactor } from "../deploy/log/redactor.ts";
import { secretsOf } from "../release/settings.ts";
import { appOfRun, openApp } from "../release/app.ts";
import { runFile, runIds } from "../release/history.ts";
import { stepModule } from "../pipeline/module-step.ts";
import { lockNow } from "../deploy/queue.ts";
import { receipt } from "../deploy/log/receipt.ts";
import { undoAll, runStep, undoStep } from "../pipeline/runner.ts";
import { say } from "../text/say.ts";
import { who } from "../host/who.ts";
import type { Receipt } from "../pipeline/receipt.ts";
import { stepFile, stepFiles } from "../pipeline/step-files.ts";

export interface StepOptions {
  /** The path of a run file. */
  context?: string;
  /** An app instead: its newest run. */
  app?: string;
  undo?: boolean;
}

/** One line for each step, in the order of a deploy, then those of DP_STEPS. */
export async function listSteps(order: readonly string[]): Promise<{ name: string; summary: string }[]> {
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const files = stepFiles().sort((a, b) => place(a.name) - place(b.name) || a.name.localeCompare(b.name));
  return Promise.all(
    files.map(async (file) => ({
      name: file.name,
      summary: file.isModule ? (await stepModule(file)).summary : file.path,
    })),
  );
}

/** The run file that `--context` or `--app` names. Throws DpError "usage" or "run". */
export async function contextFrom({ context, app: name }: Pick<StepOptions, "context" | "app">): Promise<string> {
  if (context !== undefined && name !== undefined) throw new DpError("usage", "--context or --app, not both");
  if (context !== undefined) return resolve(context);
  if (name === undefined) throw new DpError("usage", "which run? --context FILE, or --app APP for the newest");
  const app = await openApp(name);
  const newest = (await runIds(app)).at(-1);
  if (newest === undefined) throw new DpError("run", `${name} has no run yet`, { hint: `dp begin ${name}` });
  return runFile(app, newest);
}

/** Runs or undoes one step under the app's lock; its output goes to stderr. */
export async function stepByHand(name: string, options: StepOptions): Promise<void> {
  stepFile(name);
  const act = options.undo ? undoStep : runStep;
  const words = options.undo ? ["step --undo", name] : ["step", name];
  await byHand(options, words, async (path, out) => void (await act(name, path, out)));
}

/**
 * Undoes every step of a run that ran, last first, and ends it as failed. Throws DpError "usage" for a finished run,
 * and "stuck" when an undo fails.
 */
export function undoRun(options: StepOptions): Promise<void> {
  return byHand(options, ["step --undo"], async (path, out) => {
    const { facts, journal, result } = await load(path);
    const app = String(facts["app"]);
    if (result)
      throw new DpError("usage", `${basename(path, ".json")} has ended: ${result.state}`, {
        hint: `dp rollback ${app} goes back to the release before the live one`,
      });
    const [step, failed] = Object.entries(journal).findLast(([, { state }]) => state === "failed") ?? [];
    const error = new DpError("command", step ? `${step}: ${failed?.error ?? "failed"}` : "taken back by hand");
    const end = await undoAll(path, out, error);
    if (end !== error) throw end;
    out.say(`${basename(path, ".json")} is taken back`);
  });
}

/** Does something to a run under the app's lock, and writes who did it and the outcome to the audit log. */
async function byHand(
  options: StepOptions,
  [what, step]: string[],
  act: (runFile: string, out: Receipt) => Promise<void>,
): Promise<void> {
  const path = await contextFrom(options);
  const run = await load(path);
  const app = await appOfRun(run);
  const id = basename(path, ".json");
  const clean = redactor(await secretsOf(app));
  const out = receipt(say, clean);
  let code: number = EXIT.ok;
  try {
    const lock = await lockNow(app, `dp ${[what, step].filter(Boolean).join(" ")} (${id})`);
    try {
      await act(path, out);
    } finally {
      lock.release();
    }
  } catch (error) {
    code = exitCodeOf(error);
    throw error;
  } finally {
    const { sha } = run.facts as { sha?: string };
    const more = { ...(sha === undefined ? {} : { sha }), ...(step === undefined ? {} : { detail: step }) };
    const line = { app: app.name, what: what!, run: id, ...more, ...who(), result: resultOf(code), code };
    audit(line, (warning) => out.warn(warning));
  }
}
