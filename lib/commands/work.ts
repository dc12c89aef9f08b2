// `dp work`: the process of a deploy. It holds the lock, runs the steps, and writes the log that others follow.
import { writeSync } from "node:fs";
import { factOf, load, save, type Run } from "../context.ts";
import { readEnvFile } from "../env-file.ts";
import { DpError, EXIT, messageOf } from "../errors.ts";
import { fact } from "../facts.ts";
import { removeStaleTemps } from "../files.ts";
import { contextOf, liveId, runsOf } from "../history.ts";
import { places } from "../paths.ts";
import { takeTurn } from "../queue.ts";
import { receipt, type Receipt } from "../receipt.ts";
import { redactor } from "../env.ts";
import { exitCodeOf, goBack, runPipeline } from "../runner.ts";
import { closingLine, failureScreen, headLine } from "../screen.ts";

/** Runs a begun deploy or rollback to its end; answers the exit code. */
export async function work(app: string, id: string, from?: string): Promise<number> {
  const context = contextOf(app, id);
  const run = await load(context);
  const server = factOf(run, "server", fact.server);
  const clean = redactor(await secrets(factOf(run, "base", fact.base), server.env));
  const out = receipt(put, clean);
  const stop = stopSignal();
  out.say(headLine(run));
  const begun = performance.now();
  let lock;
  try {
    lock = await takeTurn(app, id, factOf(run, "by", fact.by), out.say, stop);
  } catch (error) {
    await conclude(context, error);
    for (const line of await failureScreen(app, run, error, clean)) out.say(line);
    return exitCodeOf(error);
  }
  try {
    await settle(app, id, out);
    await runPipeline(context, out, { signal: stop, ...(from === undefined ? {} : { from }) });
    out.say(closingLine(app, await load(context), performance.now() - begun));
    return EXIT.ok;
  } catch (error) {
    for (const line of await failureScreen(app, await load(context), error, clean, out.lastOutput())) out.say(line);
    return exitCodeOf(error);
  } finally {
    lock.release();
  }
}

// The log is told, never trusted: a full disk must not change what the deploy does.
let lost = 0;
function put(line: string): void {
  try {
    if (lost > 0) writeSync(1, `(${lost} lines could not be written)\n`);
    lost = 0;
    writeSync(1, `${line}\n`);
  } catch {
    lost += 1;
  }
}

async function secrets(base: string, env: string): Promise<Record<string, string>> {
  try {
    return await readEnvFile(base, env);
  } catch {
    return {}; // the step "read" says what is wrong with it
  }
}

/** Aborted by SIGTERM or SIGINT; a lost terminal is nothing to stop for. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (exit: "interrupted" | "terminated", signal: string) => () =>
    controller.abort(new DpError(exit, `stopped by ${signal}`));
  process.on("SIGTERM", stop("terminated", "SIGTERM"));
  process.on("SIGINT", stop("interrupted", "SIGINT"));
  process.on("SIGHUP", () => undefined);
  return controller.signal;
}

async function conclude(context: string, error: unknown): Promise<void> {
  const run = await load(context);
  const state = error instanceof DpError && error.exit === "locked" ? "superseded" : "failed";
  run.result = { state, code: exitCodeOf(error), error: messageOf(error), endedAt: new Date().toISOString() };
  await save(context, run);
}

/**
 * Ends what a killed deploy left: finished when its release is live already, else taken back. One that did
 * nothing yet, or waits for its turn, is left alone.
 */
async function settle(app: string, mine: string, out: Receipt): Promise<void> {
  const { base, runs, instances } = places(app);
  for (const folder of [base, runs, instances]) await removeStaleTemps(folder);
  for (const past of await runsOf(app, (message) => out.warn(message))) {
    if (past.id === mine || past.state !== "unfinished" || Object.keys(past.run.journal).length === 0) continue;
    const isLive = (await liveId(app)) === releaseOf(past.run);
    out.say(`deploy ${past.id} was interrupted and is ${isLive ? "finished" : "taken back"} first`);
    try {
      if (isLive) await runPipeline(past.path, out);
      else await goBack(past.path, out, new DpError("terminated", "interrupted"));
    } catch (error) {
      out.warn(`deploy ${past.id}: ${messageOf(error)}`);
    }
  }
}

const releaseOf = (run: Run) =>
  String(run.facts["release"] ?? "")
    .split("/")
    .at(-1);
