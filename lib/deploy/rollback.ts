// `dp rollback`, and the way back of a push that git refused after its deploy.
import type { App } from "../contracts/app.ts";
import { envStamp } from "../config/env-file.ts";
import { DpError } from "../errors.ts";
import { treeOf } from "../host/release-folder.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { requireCurrent } from "../release/current.ts";
import { firstDeploy } from "../release/first-deploy.ts";
import { goodReleases, runsOf, type PastRun } from "../release/history.ts";
import { rollbackTarget } from "../release/rollback-target.ts";
import { settingsOfRelease } from "../release/settings.ts";
import { beginRollback, type Brought } from "./begin.ts";
import { requireUnlocked } from "./hand-lock.ts";
import { beginAndLaunch, type Ended } from "./launch.ts";
import { quiet, type Answer } from "./queue.ts";

/**
 * Goes back to a release: by ID, number or commit; without one, to the rollback target. `withEnv`: with the settings
 * that it ran with, so a restart with other settings is a target as well. `force`: ignores a lock by hand, which is
 * otherwise a DpError "locked".
 */
export async function rollback(
  name: string,
  wish: string | undefined,
  options: Answer & { withEnv?: boolean; force?: boolean; what?: string; without?: string[] } = {},
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
    const begun = await beginRollback(app, to, withEnv ? await settingsToBring(app, to) : undefined, {
      without: options.without ?? [],
    });
    return { ...begun, wait };
  };
  return beginAndLaunch(named, beginning, {
    json: options.json,
    force: options.force,
    what: options.what,
    leaves: options.what === undefined,
  });
}

async function goalOf(app: App, wish: string | undefined, withEnv: boolean): Promise<string> {
  // Without an intact `current` nobody knows what "before" means.
  if (wish === undefined) await requireCurrent(app);
  const live = await app.live();
  const to = wish === undefined ? await rollbackTarget(app, live, withEnv) : await find(app, wish);
  if (to === null) {
    const { name } = app;
    const what = live === null ? `nothing of ${name} is live yet, and no` : `${name} has no`;
    const which = live === null ? "can be gone back to" : `before ${live}, which is live`;
    throw new DpError("usage", `${what} good release ${which}`, { hint: await otherTarget(app, live) });
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

/** The settings that a release ran with, for a run that restores them. Throws DpError "usage" when they are not known. */
export async function settingsToBring(app: App, to: string): Promise<Brought> {
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
