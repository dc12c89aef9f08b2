// A launched run, with the command that started it as the reader of its log.
import { closeSync, mkdirSync, openSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { conclude } from "../pipeline/run-file.ts";
import { follow, printer } from "./log/follower.ts";
import { auditRun } from "./audit-run.ts";
import { logOf, runOf, type PastRun, type RunState } from "../release/history.ts";
import { who } from "../host/who.ts";
import { startRunner, type RunnerProcess } from "./runner-process.ts";
import { say } from "../text/say.ts";
import type { Order } from "./order.ts";

/** How a launched run ended. */
export interface Ended {
  app: string;
  id: string;
  /** The release that is live now, or null. */
  live: string | null;
  state: RunState;
  /** The exit code. */
  code: number;
  error: string | null;
  /** Milliseconds from start to end. */
  took: number;
  log: string;
}

/** How a run is launched. */
export interface LaunchOptions extends Omit<Order, "id" | "who"> {
  /** The answer is JSON on stdout, so the log goes to stderr. */
  json?: boolean | undefined;
  /** Typed by somebody: once nobody reads stdout any more this process exits, and the run continues. */
  leaves?: boolean | undefined;
}

/**
 * Begins a run and launches it in a process that starts up meanwhile. `begin` may answer the rest of the waiting time.
 * Throws what `begin` throws.
 */
export async function beginAndLaunch(
  app: NamedApp,
  begin: () => Promise<{ id: string; wait?: number | undefined }>,
  options: LaunchOptions = {},
): Promise<Ended> {
  const runner = startRunner(app);
  let begun: Awaited<ReturnType<typeof begin>>;
  try {
    begun = await begin();
  } catch (error) {
    runner.order(null);
    throw error;
  }
  return launchBy(runner, app, begun.id, { ...options, wait: begun.wait ?? options.wait });
}

/** Launches a begun run and prints its log until it ends: to stdout, or to stderr when the answer is JSON. */
export const launch = (app: NamedApp, id: string, options: LaunchOptions = {}) =>
  launchBy(startRunner(app), app, id, options);

async function launchBy(
  runner: RunnerProcess,
  app: NamedApp,
  id: string,
  { json, leaves = false, ...options }: LaunchOptions,
): Promise<Ended> {
  mkdirSync(app.places.logs, { recursive: true, mode: 0o750 });
  const log = logOf(app, id);
  closeSync(openSync(log, "a", 0o640));
  const start = Bun.file(log).size;
  const begun = performance.now();
  const order: Order = { id, ...options, who: who() };
  runner.order(order);
  const kind = await kindOf(app, id);
  const code = await follow(log, start, runner.ended, runner.watched(printer(json ? 2 : 1), kind, leaves));
  const took = Math.round(performance.now() - begun);
  const past = await runOf(app, id).catch(() => null); // without a record, only the exit code is left
  if (past?.state === "unfinished") await endOf(past, app, code, order);
  const error = past?.run.result?.error ?? null;
  return { app: app.name, id, live: await app.live(), state: past?.state ?? "unfinished", code, error, took, log };
}

const kindOf = async (app: NamedApp, id: string): Promise<string> =>
  String((await runOf(app, id).catch(() => null))?.run.facts["kind"] ?? "deploy");

/** Its process died silently. If no step had begun, the run has failed; otherwise it can be resumed. */
export async function endOf(
  { id, path, run }: PastRun,
  app: NamedApp,
  code: number,
  order: Pick<Order, "what" | "who">,
): Promise<void> {
  const error = "its process ended before its first step";
  if (Object.keys(run.journal).length === 0) await conclude(path, { state: "failed", code, error });
  await auditRun(app, id, { ...order, code }, (line) => say(`dp: ${line}`));
}
