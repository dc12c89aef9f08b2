// `dp deploy` and `dp resume`: each begins or finds a run, and launches it.
import { DpError } from "../errors.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { firstDeploy } from "../release/first-deploy.ts";
import { runsOf, type PastRun } from "../release/history.ts";
import { silentLog, makeIo } from "../host/io.ts";
import { fetchOrigin } from "../setup/origin.ts";
import { orderOf } from "../pipeline/runner.ts";
import { openApp } from "../release/app.ts";
import { didYouMean } from "../text/suggestion.ts";
import { begin, type BeginOptions } from "../deploy/begin.ts";
import { beginAndLaunch, launch, type Ended } from "../deploy/launch.ts";
import { quiet, type Answer } from "../deploy/queue.ts";

/** Deploys a branch, tag or commit; without one, the deploy branch, which is fetched first if the app has an origin. */
export async function deploy(
  name: string,
  ref: string | undefined,
  options: BeginOptions & Answer = {},
): Promise<Ended> {
  const app = await openApp(name);
  requireUnlocked(app);
  // With `--wait 0` a busy app leaves no run behind.
  if (options.wait === 0) await quiet(app, 0);
  if (ref === undefined) await fetchOrigin(app, app.server.branch, makeIo(silentLog));
  return beginAndLaunch(app, () => begin(app, ref, options), { json: options.json, wait: options.wait, leaves: true });
}

/** Resumes the newest run that did not end well, at its first unfinished step or at `from`; null: it ended well. */
export async function resume(name: string, from?: string, options: Answer = {}): Promise<Ended | null> {
  const app = await openApp(name);
  requireUnlocked(app);
  const runs = await runsOf(app);
  const last = runs.at(-1);
  if (!last) throw new DpError("run", `${name} has no run yet`, { hint: await firstDeploy(app) });
  if (last.state === "running" || last.state === "waiting")
    throw new DpError("locked", `${last.id} is ${last.state}`, { hint: `dp logs ${name} --deploy -f` });
  if (last.state === "superseded")
    throw new DpError("usage", `${last.id} was superseded: there is nothing to continue`);
  if (from !== undefined) requireStep(last, from);
  else if (last.state === "good") {
    return null;
  }
  return launch(app, last.id, { ...options, from, what: "resume", leaves: true });
}

function requireStep({ run }: PastRun, from: string): void {
  const order = orderOf(run);
  if (order.includes(from)) return;
  throw new DpError(
    "usage",
    `no step ${JSON.stringify(from)}; the steps are ${order.join(", ")}`,
    didYouMean(from, order),
  );
}
