// Which releases are removed: never the live one, the one before it, a running one, or the newest good ones.
import { readdir } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";
import type { Runtime } from "../contracts/app-type.ts";
import { factOf } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { removeFile } from "../host/files.ts";
import { goodReleases, runIds, runsOf, type PastRun } from "./history.ts";
import { keepIndex } from "./glance.ts";
import { forgetRelease } from "./forget.ts";
import type { Io } from "../host/io.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import { idOf, isInstanceId, isReleaseId, releaseOf, sequenceOf } from "../text/ids.ts";
import { appType } from "../registry.ts";
import { pruneRecords } from "./records.ts";
import { removeTree } from "../host/remove.ts";
import { pruneSettings } from "./settings.ts";
import { removeHandedOver } from "./artefact.ts";
import { releasesInUse } from "./in-use.ts";
import { treeOf } from "../host/release-folder.ts";

/** The releases on disk, oldest first; `foreign`: names that dp never made, and leaves alone. */
export async function releasesOnDisk({ places }: NamedApp): Promise<{ ids: string[]; foreign: string[] }> {
  const names = await readdir(places.releases);
  const ids = names.filter(isReleaseId).sort((a, b) => sequenceOf(a) - sequenceOf(b));
  return { ids, foreign: names.filter((name) => !isReleaseId(name)) };
}

/**
 * The releases that are kept: live, previous, running, unfinished, in use, with a damaged record, the newest failed
 * one, and the `keep` newest good ones. Restarts are counted apart, because they are links: they are removed with the
 * files that they link to, and never the other way round.
 */
async function kept(app: App, runs: readonly PastRun[]): Promise<Set<string>> {
  const { name, server, manager } = app;
  const { releases } = app.places;
  const live = await app.live();
  const newest = (past: readonly PastRun[]) => past.map(({ id }) => id).slice(-server.keep);
  // The live one counts as good: its own run is not finished while it prunes.
  const good = await goodReleases(app);
  const own = runs.filter((past) => past.id === live && !good.some(({ id }) => id === live));
  const [restarts, deploys] = partition([...good, ...own], ({ run }) => run.facts["kind"] === "restart");
  const failed = runs.filter(({ run, state }) => state === "failed" && run.facts["kind"] === "deploy").slice(-1);
  const busy = runs.filter(({ state }) => state === "running" || state === "waiting" || state === "unfinished");
  const named = [live, await app.previous()].filter((id) => id !== null);
  const pinned = [...named, ...(await manager.instances(name)).map(releaseOf), ...releasesInUse(app)];
  // A release without a known run is kept: dp doctor reports its record.
  const known = new Set(runs.map(({ id }) => id));
  const unknown = (await runIds(app)).filter((id) => !known.has(id));
  const stay = new Set([...newest(deploys), ...pinned, ...unknown, ...[...failed, ...busy].flatMap(releasesOf)]);
  for (const id of [...stay]) stay.add(treeOf(releases, id));
  for (const id of newest(restarts)) if (stay.has(treeOf(releases, id))) stay.add(id);
  return stay;
}

// The run's own release, the one that it goes back to, the one that it restarts.
function releasesOf({ id, run }: PastRun): string[] {
  const named = [run.facts["release"], run.facts["restarts"]].map((name) => idOf(String(name ?? "")));
  return [id, ...named.filter((one) => one !== null)];
}

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

/**
 * Removes the releases that no rule keeps, dependencies that no kept release uses, and old logs; answers what was
 * removed.
 */
export async function prune(app: App, io: Io): Promise<string[]> {
  const { keepLogs, user } = app.server;
  // Read once: there may be thousands.
  const runs = await runsOf(app);
  const stay = await kept(app, runs);
  const gone: string[] = [];
  for (const id of (await releasesOnDisk(app)).ids) {
    if (stay.has(id)) continue;
    await removeRelease(app, id, io);
    await forgetRelease(app, id, io);
    gone.push(id);
  }
  await pruneSettings(app, stay, runs);
  await pruneOutput(app, stay);
  await removeHandedOver(app);
  const place = { app: app.name, base: app.places.base, user };
  for (const [type, runtimes] of runtimesOf(runs, stay)) {
    gone.push(...(await (await appType(type)).prune(place, runtimes, io)).map(named));
  }
  gone.push(...((await app.manager.prune?.(app.name, io)) ?? []));
  const count = await pruneRecords(app, keepLogs, stay, runs, io);
  await keepIndex(app, runs);
  return count === 0 ? gone : [...gone, `the logs of ${count} old deploys`];
}

/** What an app type has removed, for people: a folder of installed dependencies, or an image by its name. */
const named = (path: string) => (isAbsolute(path) ? `the dependencies ${basename(path)}` : path);

// An instance's output, if its manager keeps it in a file, is removed with its release.
async function pruneOutput({ places: { logs } }: NamedApp, stay: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(logs)) {
    const id = /^(.+)\.app\.log(?:\.\d+)?$/.exec(name)?.[1];
    if (id !== undefined && isInstanceId(id) && !stay.has(releaseOf(id))) await removeFile(join(logs, name));
  }
}

// App type -> the runtimes of the kept releases of that type.
function runtimesOf(runs: readonly PastRun[], stay: ReadonlySet<string>): Map<string, Runtime[]> {
  const runtimes = new Map<string, Runtime[]>();
  for (const { id, run } of runs) {
    if (!("config" in run.facts)) continue;
    const { type } = factOf(run, "config", fact.config);
    const list = runtimes.get(type) ?? [];
    runtimes.set(type, list);
    if (stay.has(id) && "runtime" in run.facts) list.push(factOf(run, "runtime", fact.runtime));
  }
  return runtimes;
}

/** Removes the trees of failed releases except that of `keep`: the newest failure is evidence enough. */
export async function removeFailed(app: App, keep: string, io: Io): Promise<void> {
  const failed = (await runsOf(app)).filter(({ id, state }) => state === "failed" && id !== keep);
  for (const { id } of failed) await removeRelease(app, id, io);
}

// The release of a restart is dp's own link to the files of another.
async function removeRelease({ places, server }: App, id: string, io: Io): Promise<void> {
  const path = join(places.releases, id);
  if (treeOf(places.releases, id) === id) await removeTree(path, server.user, io);
  else await removeFile(path);
}
