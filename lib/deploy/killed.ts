// A deploy that was killed: finished if its release is live already, undone otherwise, or prepared for being resumed.
import type { NamedApp } from "../contracts/app.ts";
import { factOf, type Run } from "../pipeline/run-file.ts";
import { DpError, EXIT, exitCodeOf, messageOf } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { auditRun } from "./audit-run.ts";
import { appOfRun } from "../release/app.ts";
import type { PastRun } from "../release/history.ts";
import { makeIo } from "../host/io.ts";
import { idOf } from "../text/ids.ts";
import { endConfined } from "../host/process/confine.ts";
import { endAll } from "../host/process/end-all.ts";
import { allPids } from "../host/process/proc.ts";
import { hasTargets } from "../notify/targets.ts";
import { environmentOf, hasEnvironment } from "../host/process/process.ts";
import { ONE_OFF_MARK } from "../release/one-off.ts";
import { buildPlaces } from "../release/builder.ts";
import { reconcile } from "../release/reconcile.ts";
import { appType } from "../registry.ts";
import { undoAll, runPipeline } from "../pipeline/runner.ts";
import type { Receipt } from "../pipeline/receipt.ts";

const PATIENCE = 5_000;

/** Ends it, under the app's lock. */
export async function endKilled(app: NamedApp, past: PastRun, out: Receipt): Promise<void> {
  const isLive = (await isLiveRun(app, past.run)) && (await isDecided(app, past));
  out.say(`deploy ${past.id} was interrupted and is ${isLive ? "finished" : "taken back"} first`);
  let code: number = EXIT.ok;
  try {
    const from = await resumePoint(past.run, out);
    if (isLive) await runPipeline(past.path, out, from === undefined ? {} : { from });
    else await undoAll(past.path, out, new DpError("terminated", "interrupted"));
  } catch (error) {
    out.warn(`deploy ${past.id}: ${messageOf(error)}`);
    code = exitCodeOf(error);
  }
  await forgetLead(app, past);
  const what = isLive ? "finish" : "take back";
  await auditRun(app, past.id, { what, code, who: { by: "dp" } }, (line) => out.warn(line));
  if (hasTargets())
    await (await import("./tell.ts")).tellRun(app, past.id, { code, isKilled: !isLive }, (line) => out.warn(line));
}

const releaseOf = (run: Run) => idOf(typeof run.facts["release"] === "string" ? run.facts["release"] : null);

async function isLiveRun(app: NamedApp, run: Run): Promise<boolean> {
  const release = releaseOf(run);
  return release !== null && release === (await app.live());
}

// The line from the server that leads would have removed them, and has died with the run.
async function forgetLead(app: NamedApp, { id, run }: PastRun): Promise<void> {
  if (factOf(run, "group", fact.group)?.as !== "peer") return;
  await (await import("../servers/word.ts")).forgetWords(app, id);
  await (await import("../servers/built.ts")).forgetParts(app, id);
}

// Several servers keep a release only when all have proven it.
async function isDecided(app: NamedApp, { id, run }: PastRun): Promise<boolean> {
  if (factOf(run, "group", fact.group) === null || run.journal["prove"]?.state === "ok") return true;
  return (await import("../servers/word.ts")).isKept(app, id);
}

/**
 * Prepares a run for resuming: ends the processes that its killed runner left. If its instance is gone or another
 * process by now (a reboot, `dp reconcile`), answers the step to resume at; a live one has been started again already.
 */
export async function resumePoint(run: Run, out: Receipt): Promise<string | undefined> {
  const app = await appOfRun(run);
  const { name, manager } = app;
  const id = factOf(run, "id", fact.id);
  await endLeftovers(app, id);
  if ("config" in run.facts)
    await (await appType(factOf(run, "config", fact.config).type)).endHook?.({ app: name, id });
  const isLive = await isLiveRun(app, run);
  if (!isLive && run.journal["start"]?.state !== "ok") return undefined;
  for (const change of isLive ? await reconcile(app, makeIo(out)) : []) out.say(change);
  const { pid } = await manager.status({ app: name, id: releaseOf(run)! });
  if (isLive) return pid === run.facts["pid"] ? undefined : "check";
  return pid !== null && pid === (run.facts["pid"] ?? pid) ? undefined : "start";
}

// A build or hook outlives a killed deploy, and must not run beside the next one. Its environment identifies it;
// instances and the operator's one-off commands are spared.
async function endLeftovers(app: NamedApp, id: string): Promise<void> {
  const { name, places } = app;
  const homes = [places.home, buildPlaces(app).home].map((home) => `HOME=${home}`);
  const isInstance = (pid: number) => environmentOf(pid, "DP_INSTANCE")?.startsWith(`${name}@${id}`) === true;
  const isOther = (pid: number) => isInstance(pid) || hasEnvironment(pid, ONE_OFF_MARK);
  const isLeft = (pid: number) =>
    hasEnvironment(pid, `DP_RELEASE=${id}`) && homes.some((home) => hasEnvironment(pid, home)) && !isOther(pid);
  await endAll(() => allPids().filter((pid) => pid !== process.pid && isLeft(pid)), PATIENCE);
  await endConfined({ app: name, id });
}
