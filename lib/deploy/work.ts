// `dp work`: the process of a deploy. It holds the lock, runs the steps, and writes the log that others follow.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { factOf, load, type Run } from "../pipeline/run-file.ts";
import { makeBallast } from "../host/ballast.ts";
import { DpError, EXIT, hostError } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { requireCurrent } from "../release/current.ts";
import { auditRun } from "./audit-run.ts";
import { takeCanceller } from "./canceller.ts";
import { requireTip, settleRef, type Push, landingOf } from "./gate.ts";
import { withServer } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { logOf, runFile } from "../release/history.ts";
import { makeIo } from "../host/io.ts";
import type { Lock } from "../host/lock.ts";
import { hasTargets } from "../notify/targets.ts";
import { stepModule } from "../pipeline/module-step.ts";
import { takeTurn } from "./queue.ts";
import { receipt } from "./log/receipt.ts";
import { redactor } from "./log/redactor.ts";
import { duplicate } from "../host/process/libc.ts";
import { COMMIT, PIPELINES } from "../pipeline/pipeline.ts";
import { tidy } from "../release/tidy.ts";
import { secretsOf } from "../release/settings.ts";
import { runPipeline } from "../pipeline/runner.ts";
import { shown } from "../text/text.ts";
import { closingLine, forwardLines, headLine } from "./log/screen.ts";
import { failed, refused, type Told } from "./failure.ts";
import { settle } from "./settle.ts";
import type { Order } from "./order.ts";
import { stepFile } from "../pipeline/step-files.ts";
import { frontNames } from "../config/kinds.ts";
import { front } from "../registry.ts";

/** Loads what a deploy needs: as long as there is nothing else to do, that costs no time. */
export async function loadDeploy(): Promise<void> {
  const steps = PIPELINES.deploy.map((name) => stepModule(stepFile(name)));
  await Promise.all([...steps, ...frontNames().map(front)]);
}

/** Loads the steps up to the switch of a run that begins meanwhile: the disk is waited for often enough. */
export async function loadSwitch(): Promise<void> {
  const names = PIPELINES.rollback.slice(0, PIPELINES.rollback.indexOf(COMMIT) + 1);
  await Promise.all(names.map((name) => stepModule(stepFile(name))));
}

/**
 * Loads what a deploy needs, waits for the order on stdin, and runs it; everything it has to report goes to its log.
 * Answers the exit code; 0 when the caller has gone or has called it off.
 */
export async function workOnOrder(name: string): Promise<number> {
  const app = namedApp(name);
  await loadDeploy();
  const text = readFileSync(0, "utf8");
  if (text === "") return EXIT.ok;
  const order = JSON.parse(text) as Order;
  const log = openSync(logOf(app, order.id), "a", 0o640);
  for (const fd of [1, 2]) duplicate(log, fd);
  closeSync(log);
  const code = await work(app, order, 1);
  // Everything is reported by now. A hanging file operation would keep this process alive, and the reader waiting.
  process.exit(code);
}

/**
 * Runs a begun deploy or rollback to its end, writes to the file descriptor `log`, and adds a line to the audit log;
 * answers the exit code.
 */
export async function work(app: NamedApp, order: Order, log: number): Promise<number> {
  const write = writerOf(log);
  let code: number = EXIT.bug;
  try {
    code = await runToEnd(app, order, write);
  } finally {
    await auditRun(app, order.id, { ...order, code }, write);
  }
  // The lock is free by now.
  if (hasTargets()) await (await import("./tell.ts")).tellRun(app, order.id, { code }, write);
  return code;
}

/** A run before its turn. */
interface Work extends Told {
  order: Order;
  run: Run;
  /** The branch that a push wants to move once the release is live. */
  push: Push | null;
  stop: AbortSignal;
}

async function runToEnd(named: NamedApp, order: Order, write: (line: string) => void): Promise<number> {
  const file = runFile(named, order.id);
  const run = await load(file);
  const app = await withServer(named, factOf(run, "server", fact.server));
  const clean = redactor(await secretsOf(app));
  const isPromotion = factOf(run, "promotes", fact.promotes) !== null;
  // Of a promotion no git moves the branch, with or without a gate.
  const push = app.server.gate || isPromotion ? factOf(run, "push", fact.push) : null;
  const work = { app, order, file, run, push, clean, out: receipt(write, clean), stop: stopSignal(app, order.id) };
  work.out.say(headLine(run));
  const begun = performance.now();
  let lock: Lock;
  try {
    lock = await turnOf(work);
  } catch (thrown) {
    return refused(work, hostError(thrown));
  }
  try {
    await runInTurn(work);
    const ended = await load(file);
    work.out.say(closingLine(app.name, ended, performance.now() - begun));
    for (const line of await forwardLines(app, ended)) work.out.say(line);
    return EXIT.ok;
  } catch (thrown) {
    return await failed(work, hostError(thrown)); // this part runs under the lock
  } finally {
    await makeBallast();
    lock.release();
  }
}

/** Waits for the run's turn and takes the lock; throws when the run has become pointless meanwhile. */
async function turnOf({ app, order, run, push, out, stop }: Work): Promise<Lock> {
  const turn = { ...order, kind: factOf(run, "kind", fact.kind), by: factOf(run, "by", fact.by) };
  const lock = await takeTurn(app, turn, out.say, stop);
  try {
    const isPromotion = factOf(run, "promotes", fact.promotes) !== null;
    if (push && (isPromotion || order.git !== undefined))
      await requireTip(app.places.repo, push, factOf(run, "sha", fact.sha), await landingOf(app, order.id, push));
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Cleans up after other runs, runs the steps, and lets the branch follow. */
async function runInTurn({ app, order, file, run, push, out, stop }: Work): Promise<void> {
  // A rollback is the repair, and its end cleans up the rest: nothing may delay it.
  const isBack = factOf(run, "kind", fact.kind) === "rollback";
  if (!isBack) await requireCurrent(app);
  await settle(app, order.id, out);
  // A resumed run has an instance of its own already.
  const isFresh = Object.keys(run.journal).length === 0;
  for (const change of isFresh && !isBack ? await tidy(app, makeIo(out)) : []) out.say(change);
  const from = order.from ?? (isFresh ? undefined : await resumePointOf(run, out));
  await runPipeline(file, out, { signal: stop, ...(from === undefined ? {} : { from }) });
  if (push) await settleRef(app.places.repo, push, factOf(run, "sha", fact.sha), order.git);
}

async function resumePointOf(run: Run, out: Work["out"]): Promise<string | undefined> {
  const { resumePoint } = await import("./killed.ts");
  return resumePoint(run, out);
}

// A log that cannot be written is ignored: a full disk must not change what the deploy does.
function writerOf(log: number): (line: string) => void {
  let lost = 0;
  return (line) => {
    try {
      if (lost > 0) writeSync(log, `(${lost} lines could not be written)\n`);
      lost = 0;
      writeSync(log, `${shown(line)}\n`);
    } catch {
      lost += 1;
    }
  };
}

/** Aborted by SIGTERM, which may be `dp cancel`, or SIGINT; a lost terminal is no reason to stop. */
function stopSignal(app: NamedApp, id: string): AbortSignal {
  const controller = new AbortController();
  const stop = (exit: "interrupted" | "terminated", signal: string) => () => {
    const by = takeCanceller(app, id);
    controller.abort(new DpError(exit, by === null ? `stopped by ${signal}` : `cancelled by ${by}`));
  };
  process.on("SIGTERM", stop("terminated", "SIGTERM"));
  process.on("SIGINT", stop("interrupted", "SIGINT"));
  process.on("SIGHUP", () => undefined);
  return controller.signal;
}
