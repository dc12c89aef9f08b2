// The times of a release's files: one that the new commit has not changed keeps the time that it has in the live release, so
// that the two can be one file on the disk.
import { closeSync, lstatSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import type { Source } from "../git/source.ts";
import { treeOf } from "../host/release-folder.ts";
import type { Io } from "../host/io.ts";
import { writeAll } from "../host/process/input.ts";
import { pipe } from "../host/process/libc.ts";
import { readRuns } from "./history.ts";

/** A release that is laid out, and the build user, whose it is. */
interface LaidOut {
  app: App;
  release: string;
  user: string | undefined;
}

/** Each time is set by a command of its own: files of rarer times get that of the commit. */
const MOST = 32;

/** Paths by their time, in seconds since 1970. */
type Times = Map<number, string[]>;

function add(times: Times, time: number, path: string): void {
  const paths = times.get(time);
  if (paths) paths.push(path);
  else times.set(time, [path]);
}

/** The times that files of a commit should have. */
interface Wanted {
  /** That of the commit: the files have it when they are laid out. */
  own: number;
  /** Those that differ in the live release. */
  times: Times;
}

/** Asks git for them, which needs none of the files: it can go on while they are laid out. */
export async function timesOf(app: App, source: Source): Promise<Wanted> {
  const [{ text }, times] = await Promise.all([
    source.git(["show", "-s", "--format=%ct", source.sha]),
    timesOfLive(app, source),
  ]);
  const own = Number(text);
  times.delete(own);
  return { own, times };
}

/** Sets the times of files that are laid out. `fetched`: files that came from elsewhere, with the time of their coming. */
export async function keepTimes(
  laid: LaidOut,
  { own, times }: Wanted,
  fetched: readonly string[],
  io: Io,
): Promise<void> {
  const known = new Set([...times.values()].flat());
  for (const path of fetched) if (!known.has(path)) add(times, own, path);
  const most = [...times].toSorted(([, a], [, b]) => b.length - a.length).slice(0, MOST);
  for (const [time, paths] of most) await touch(laid, time, paths, io);
}

/** The times in the live release of what the commit has not changed since. */
async function timesOfLive(app: App, { git, sha, list }: Source): Promise<Times> {
  const times: Times = new Map();
  const { releases } = app.places;
  const live = await app.live();
  if (live === null) return times;
  const tree = treeOf(releases, live);
  const from = (await readRuns(app, [tree]))[0]?.run.facts["sha"];
  if (typeof from !== "string") return times;
  const argv = ["diff-tree", "-r", "-z", "--no-renames", "--name-only", from, sha];
  const { code, text } = await git(argv, { check: false });
  if (code !== 0) return times;
  const changed = new Set(text.split("\0"));
  for (const { path, kind } of await list()) {
    if ((kind !== "file" && kind !== "executable") || changed.has(path)) continue;
    const stat = lstatSync(join(releases, tree, path), { throwIfNoEntry: false });
    // A commit's time has whole seconds; another one is that of a build.
    if (stat?.isFile() && stat.mtimeMs % 1000 === 0) add(times, stat.mtimeMs / 1000, path);
  }
  return times;
}

async function touch({ app, release, user }: LaidOut, time: number, paths: readonly string[], io: Io): Promise<void> {
  const [read, write] = pipe();
  const argv = ["xargs", "-0", "touch", "-c", "-h", "-d", `@${time}`, "--"];
  const options = { cwd: release, user, stdin: read, quiet: true, timeout: app.server.stepTimeout };
  const running = io.run(argv, options).finally(() => closeSync(read));
  await writeAll(write, Buffer.from(paths.map((path) => `${path}\0`).join("")));
  await running;
}
