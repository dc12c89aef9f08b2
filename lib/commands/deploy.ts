// `dp deploy`, `dp execute`, `dp resume`, `dp rollback`: each begins or finds a run, and launches it.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { envStamp } from "../config/env-file.ts";
import { requireCurrent } from "../release/current.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { firstDeploy } from "../release/first-deploy.ts";
import { goodReleases, runsOf, type PastRun } from "../release/history.ts";
import { settingsOfRelease } from "../release/settings.ts";
import { rollbackTarget } from "../release/rollback-target.ts";
import { silentLog, makeIo } from "../host/io.ts";
import { fetchOrigin } from "../setup/origin.ts";
import { orderOf } from "../pipeline/runner.ts";
import { namedApp, openApp } from "../release/app.ts";
import { didYouMean } from "../text/suggestion.ts";
import { begin, beginRollback, type BeginOptions, type Brought } from "../deploy/begin.ts";
import { beginAndLaunch, launch, type Ended } from "../deploy/launch.ts";
import { quiet, type Answer } from "../deploy/queue.ts";
import { treeOf } from "../host/release-folder.ts";

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
  return beginAndLaunch(app, () => begin(app, ref, options), { json: options.json, wait: options.wait });
}

/** Resumes the newest run that did not end well, at its first unfinished step or at `from`; null: it ended well. */
export async function resume(name: string, from?: string, options: Answer = {}): Promise<Ended | null> {
  const app = await openApp(name);
  requireUnlocked(app);
  const runs = await runsOf(app);
  const last = runs.at(-1);
  if (!last) throw new DpError("context", `${name} has no run yet`, { hint: await firstDeploy(app) });
  if (last.state === "running" || last.state === "waiting")
    throw new DpError("locked", `${last.id} is ${last.state}`, { hint: `dp logs ${name} --deploy -f` });
  if (last.state === "superseded")
    throw new DpError("usage", `${last.id} was superseded: there is nothing to continue`);
  if (from !== undefined) requireStep(last, from);
  else if (last.state === "good") {
    return null;
  }
  return launch(app, last.id, { ...options, from, what: "resume" });
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

/**
 * Goes back to a release: by ID, number or commit; without one, to the rollback target. `withEnv`: with the settings
 * that it ran with, so a restart with other settings is a target as well. `force`: ignores a lock by hand, which is
 * otherwise a DpError "locked".
 */
export async function rollback(
  name: string,
  wish: string | undefined,
  options: Answer & { withEnv?: boolean; force?: boolean; what?: string } = {},
): Promise<Ended> {
  const withEnv = options.withEnv === true;
  const words = ["dp rollback", name, ...(wish === undefined ? [] : [wish]), ...(withEnv ? ["--with-env"] : [])];
  const anyway = `${words.join(" ")} --force`;
  const named = namedApp(name);
  if (options.force !== true)
    requireUnlocked(named, `dp unlock ${name}, or in an outage, leaving the lock in place: ${anyway}`);
  const beginning = async () => {
    // The target depends on the live release, so it is chosen only when no deploy is about to change that.
    const wait = wish === undefined || options.wait === 0 ? await quiet(named, options.wait) : options.wait;
    const app = await openApp(name);
    const to = await goalOf(app, wish, withEnv);
    const begun = await beginRollback(app, to, withEnv ? await settingsToBring(app, to) : undefined);
    return { ...begun, wait };
  };
  return beginAndLaunch(named, beginning, { json: options.json, force: options.force, what: options.what });
}

async function goalOf(app: App, wish: string | undefined, withEnv: boolean): Promise<string> {
  // Without an intact `current` nobody knows what "before" means.
  if (wish === undefined) await requireCurrent(app);
  const live = await app.live();
  const to = wish === undefined ? await rollbackTarget(app, live, withEnv) : await find(app, wish);
  if (to === null) {
    throw new DpError("usage", `${app.name} has no good release before ${live ?? "the first"} to go back to`, {
      hint: await otherTarget(app, live),
    });
  }
  if (to === live) throw new DpError("usage", `${to} is already live`, { hint: `dp releases ${app.name}` });
  return to;
}

async function otherTarget(app: App, live: string | null): Promise<string> {
  if (live === null) return firstDeploy(app);
  if ((await rollbackTarget(app, live, true)) !== null)
    return `dp rollback ${app.name} --with-env goes back to the settings before`;
  const { name, places } = app;
  const tree = (id: string) => treeOf(places.releases, id);
  const other = (await goodReleases(app)).map(({ id }) => id).findLast((id) => tree(id) !== tree(live));
  const list = `dp releases ${name}`;
  return other === undefined ? list : `dp rollback ${name} ${other}, or another of: ${list}`;
}

async function settingsToBring(app: App, to: string): Promise<Brought> {
  const text = await settingsOfRelease(app, to);
  if (text !== null) return { text, stamp: await envStamp(app.places.base, app.server.env) };
  throw new DpError("usage", `the environment of ${to} is not known`, { hint: `dp rollback ${app.name} ${to}` });
}

async function find(app: App, wish: string): Promise<string> {
  const matches = ({ id, run }: PastRun) =>
    id === wish || id.startsWith(`${wish}-`) || (wish.length >= 4 && String(run.facts["sha"]).startsWith(wish));
  const good = (await goodReleases(app)).filter(matches).at(-1);
  if (good) return good.id;
  const known = (await runsOf(app)).filter(matches).at(-1);
  if (!known)
    throw new DpError("usage", `${app.name} has no release ${JSON.stringify(wish)}`, {
      hint: `dp releases ${app.name}`,
    });
  const why =
    known.run.facts["kind"] === "rollback"
      ? "is a rollback, not a release"
      : known.state === "good"
        ? "was removed to make room"
        : `is ${known.state}`;
  throw new DpError("usage", `${known.id} ${why}, dp goes back only to good releases`, {
    hint: `dp releases ${app.name}`,
  });
}
