// Which releases go: never the live one, the one before it, a running one, or the newest good ones.
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Runtime } from "../app.ts";
import { factOf } from "../context.ts";
import { fact } from "../facts.ts";
import { goodReleases, liveId, previousId, runsOf } from "./history.ts";
import { forget } from "./instances.ts";
import type { Io } from "../io.ts";
import type { Manager } from "../manager.ts";
import { isReleaseId, places, sequenceOf } from "../paths.ts";
import { appType } from "../registry.ts";
import { removeTree } from "./remove.ts";

/** The releases on disk, oldest first; `foreign`: names that dp never made, which it leaves alone. */
export async function releasesOnDisk(app: string): Promise<{ ids: string[]; foreign: string[] }> {
  const names = await readdir(places(app).releases);
  const ids = names.filter(isReleaseId).sort((a, b) => sequenceOf(a) - sequenceOf(b));
  return { ids, foreign: names.filter((name) => !isReleaseId(name)) };
}

/** The releases that stay: live, previous, running, unfinished, the `keep` newest good ones, the newest failed one. */
async function kept(app: string, keep: number, managed: Manager): Promise<Set<string>> {
  const runs = await runsOf(app);
  // The live one counts: its own run is still under way while it prunes, and not good yet.
  const live = await liveId(app);
  const goodOrLive = [
    ...(await goodReleases(app)).map(({ id }) => id).filter((id) => id !== live),
    ...(live ? [live] : []),
  ];
  const good = goodOrLive.sort((a, b) => sequenceOf(a) - sequenceOf(b)).slice(-keep);
  const failed = runs.filter(({ run, state }) => state === "failed" && run.facts["kind"] === "deploy").slice(-1);
  const busy = runs.filter(({ state }) => state === "running" || state === "waiting" || state === "unfinished");
  const named = [live, await previousId(app)].filter((id) => id !== null);
  return new Set([...good, ...named, ...(await managed.instances(app)), ...[...failed, ...busy].map(({ id }) => id)]);
}

/** Removes the releases that no rule keeps, and dependencies that no kept release uses; answers what went. */
export async function prune(
  app: string,
  keep: number,
  user: string | undefined,
  managed: Manager,
  io: Io,
): Promise<string[]> {
  const { base, releases } = places(app);
  const stay = await kept(app, keep, managed);
  const gone: string[] = [];
  for (const id of (await releasesOnDisk(app)).ids) {
    if (stay.has(id)) continue;
    await removeTree(join(releases, id), user, io);
    await forget({ app, id }, managed, io);
    gone.push(id);
  }
  for (const [type, runtimes] of await runtimesOf(app, stay)) {
    gone.push(
      ...(await (await appType(type)).prune({ app, base, user }, runtimes, io)).map((folder) => basename(folder)),
    );
  }
  return gone;
}

// App type -> the runtimes of the kept releases of that type.
async function runtimesOf(app: string, stay: Set<string>): Promise<Map<string, Runtime[]>> {
  const runtimes = new Map<string, Runtime[]>();
  for (const { id, run } of await runsOf(app)) {
    if (!("config" in run.facts)) continue;
    const { type } = factOf(run, "config", fact.config);
    const list = runtimes.get(type) ?? [];
    runtimes.set(type, list);
    if (stay.has(id) && "runtime" in run.facts) list.push(factOf(run, "runtime", fact.runtime));
  }
  return runtimes;
}

/** Removes the trees of failed releases but `keep`'s own: the newest failure is evidence enough. */
export async function removeFailed(app: string, keep: string, user: string | undefined, io: Io): Promise<void> {
  const failed = (await runsOf(app)).filter(({ id, state }) => state === "failed" && id !== keep);
  for (const { id } of failed) await removeTree(join(places(app).releases, id), user, io);
}
