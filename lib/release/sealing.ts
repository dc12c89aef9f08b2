// A finished release and its dependencies belong to root: only the next deploy changes what serves.
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { sizeText } from "../config/size.ts";
import type { App } from "../contracts/app.ts";
import { messageOf } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { canTake, isSealed, seal } from "../host/ownership.ts";
import { shareFiles } from "../host/share.ts";
import { idsOf } from "../host/users.ts";
import { builderOf } from "./builder.ts";
import { treeOf } from "../host/release-folder.ts";
import { goodReleases } from "./history.ts";

/** Closes a built release, whoever wrote to it last: the builder, or the app's user in a hook. */
export async function sealRelease(app: App, release: string, io: Io): Promise<void> {
  const { server } = app;
  if (!canTake(server.user)) return;
  const [apps] = await idsOf(server.user);
  const maker = lstatSync(release).uid === apps ? server.user : await builderOf(app);
  await seal(release, { maker, reader: server.user }, io);
}

/**
 * Keeps on the disk only once what a finished release has in common with the live one: an app without a user of its own
 * could write into both, so there only where a write does not reach the other. A deploy does not fail because of this.
 */
export async function shareWithLive(app: App, release: string, live: string | null, io: Io): Promise<void> {
  const { places, server } = app;
  if (live === null) return;
  const tree = treeOf(places.releases, live);
  const older = join(places.releases, tree);
  if (older === release || !existsSync(older)) return;
  const links = canTake(server.user) && lstatSync(release).uid === 0 && isSealed(older);
  try {
    const sharing = { temp: join(places.base, "shared.tmp"), links, signal: io.signal };
    const { files, bytes } = await shareFiles(release, older, sharing);
    if (bytes >= WORTH_A_LINE) io.info(`${files} files, ${sizeText(bytes)}, take no room: they are those of ${tree}`);
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`the files that are those of ${tree} take room of their own: ${messageOf(error)}`);
  }
}

/** Bytes that somebody may want to know of. */
const WORTH_A_LINE = 10 * 1024 ** 2;

/**
 * Paths that are finished but can still be changed by the app, as an earlier dp left them. `live`: include the live
 * release.
 */
export async function unsealed(app: App, live: boolean): Promise<string[]> {
  const { places, server } = app;
  if (!canTake(server.user)) return [];
  const [uid, gid] = await idsOf(server.user);
  const { base, releases } = places;
  const isKept = live ? null : await app.live();
  const good = (await goodReleases(app)).map(({ id }) => id).filter((id) => treeOf(releases, id) === id);
  const trees = good.filter((id) => isKept === null || treeOf(releases, isKept) !== id).map((id) => join(releases, id));
  const made = ["venvs", "node"].flatMap((name) => completeIn(join(base, name)));
  return [...trees, ...made].filter((path) => {
    const stat = lstatSync(path);
    // A release that the static server reads has another group, and no process of the app writes into it.
    return !isSealed(path) && stat.uid === uid && (stat.gid === gid || made.includes(path));
  });
}

// A complete folder has its marker beside it.
function completeIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = new Set(readdirSync(folder));
  return [...names].filter((name) => names.has(`${name}.json`)).map((name) => join(folder, name));
}

/** Closes everything that is still open; answers one sentence for each. */
export async function sealAll(app: App, live: boolean, io: Io): Promise<string[]> {
  const open = await unsealed(app, live);
  const { user } = app.server;
  for (const path of open) await seal(path, { maker: user, reader: user }, io);
  return open.map((path) => `closed ${path} to the app's user, who may read it`);
}
