// The files of a commit, laid out as a release that belongs to the build user, without a git folder.
import { closeSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import type { App } from "../contracts/app.ts";
import { git } from "../git/git.ts";
import { fetchLfs } from "../git/lfs.ts";
import { fetchEnv, NO_FILTERS, ownSource } from "../git/source.ts";
import { layOutSubmodules } from "../git/submodules.ts";
import type { Io } from "../host/io.ts";
import { largePipe } from "../host/process/libc.ts";
import { canTake } from "../host/ownership.ts";
import { removeTree } from "../host/remove.ts";
import { idsOf } from "../host/users.ts";
import { buildEnvironment } from "./builder.ts";
import { appEnvironment } from "./environment.ts";

/** A release that is being made. */
export interface Laying {
  app: App;
  sha: string;
  /** The release's folder. */
  release: string;
  /** The build user. */
  user: string | undefined;
}

/** Makes the release's folder, empty: a killed run may have left half a tree. */
export async function emptyRelease({ app, release, user }: Laying, io: Io): Promise<void> {
  await removeTree(release, user, io);
  await mkdir(release, { mode: 0o750 });
  await chmod(release, 0o750);
  // The app's user may read the release, by its group.
  const reader = app.server.user;
  if (user && reader) await chown(release, (await idsOf(user))[0], (await idsOf(reader))[1]);
}

/** Writes the commit's own files, and those that they point to elsewhere, durably. */
export async function layOut(laying: Laying, io: Io): Promise<void> {
  const { app, sha, release, user } = laying;
  const source = ownSource(app.places.repo, sha, io.signal);
  const times = canTake(app.server.user) ? await import("./times.ts") : null;
  const wanted = times?.timesOf(app, source);
  wanted?.catch(() => undefined); // whatever fails first is told
  await layOutPaths(laying, [], io);
  const timeout = app.server.stepTimeout;
  const env = buildEnvironment(app, await appEnvironment({ app, sha, release }), user);
  const fetcher = { user, timeout, env: fetchEnv(env) };
  const fetched = await fetchLfs(source, release, fetcher, io);
  await layOutSubmodules(source, release, fetcher, io);
  const set = await wanted;
  const timed = times && set ? times.keepTimes(laying, set, fetched, io) : null;
  // The times need not be durable: a file whose time is lost takes room of its own, and that is all.
  const synced = io.run(["sync", "-f", release], { timeout });
  for (const end of await Promise.allSettled([timed, synced])) if (end.status === "rejected") throw end.reason;
}

/** Writes those paths of the commit; without any, all. */
export async function layOutPaths(
  { app, sha, release, user }: Laying,
  paths: readonly string[],
  io: Io,
): Promise<void> {
  const { stepTimeout: timeout } = app.server;
  const [read, write] = largePipe();
  const archiving = { stdout: write, timeout, signal: io.signal, onLine: (line: string) => io.output(line) };
  const words = ["archive", "--format=tar", sha, ...(paths.length > 0 ? ["--", ...paths] : [])];
  const archive = git(app.places.repo, [...NO_FILTERS, ...words], archiving).finally(() => closeSync(write));
  const extract = unpack(read, { app, release, user }, io).finally(() => closeSync(read));
  const [archived, extracted] = await Promise.allSettled([archive, extract]);
  if (archived.status === "rejected") throw archived.reason;
  if (extracted.status === "rejected") throw extracted.reason;
}

/** Unpacks a tar archive as the build user: whatever it contains, it can write only where that user can. */
export function unpack(archive: number, { app, release, user }: Omit<Laying, "sha">, io: Io) {
  // Records of 1 MiB, as large as the pipe.
  const script = 'umask 022 && exec tar -x -b 2048 -f - --no-same-owner -C "$1"';
  const timeout = app.server.stepTimeout;
  return io.run(["sh", "-c", script, "sh", release], { stdin: archive, user, timeout });
}
