// What node apps keep between releases: archives of installed modules, and fetched package managers.
import { closeSync, fsyncSync, openSync } from "node:fs";
import { lstat, mkdir, readdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Place, Runtime } from "../../contracts/app-type.ts";
import { codeOf, messageOf } from "../../errors.ts";
import { readText, removeFile, removeStaleTemps, syncFolder, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { seal } from "../../host/ownership.ts";
import { removeTree } from "../../host/remove.ts";

/**
 * The folder of archives and package managers; it belongs to dp.
 *
 * Each release has its own node_modules, as real files. A link to a shared folder would break programs that write below
 * node_modules or ask for real paths; hard links would let a build change the files of another release. Finished releases
 * share what is the same, see lib/host/share.ts.
 *
 * `KEY.tar` is an archive for later releases. The app's user packs it into a file that dp has opened and owns, so that
 * the app cannot change it later. The app's user also unpacks it, so that dp never walks through folders that an app has
 * made. The archive appears complete, by one rename.
 *
 * `NAME-VERSION` is a package manager: both its folder, once it is complete, and its marker `NAME-VERSION.json` belong
 * to dp.
 */
export const storeFolder = (base: string): string => join(base, "node");

/** The archive of a key, whether it is there or not. */
export const archiveOf = (base: string, key: string): string => join(storeFolder(base), `${key}.tar`);

const OURS = /^(?:[0-9a-f]{16}\.tar|(?:npm|pnpm|yarn|berry)-[\w.-]+)$/;

const LISTING = 16 * 1024 * 1024;
/** Paths that fit into one command. */
const ONE_COMMAND = 250;

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** The results of an install below a folder: every node_modules that is not in the commit, and yarn's record of it. */
async function installedPaths({ user, timeout, tree }: Place, root: string, io: Io): Promise<string[]> {
  const find = ["find", ".", "-name", "node_modules", "-prune", "-print0", "-o"];
  const argv = [...find, "-path", "./.yarn/install-state.gz", "-print0"];
  const found = await io.run(argv, { user, timeout, cwd: root, quiet: true, keep: LISTING });
  // These are fixtures and the like; the one at the top belongs to the package manager, even if it was committed.
  const committed = (await tree.list()).map(({ path }) => /^(.+?\/node_modules)\//.exec(path)?.[1]);
  const own = new Set(committed.map((path) => `./${path}`));
  return found.text.split("\0").filter((path) => path.startsWith("./") && !own.has(path));
}

/** Removes every node_modules below a folder that is not in the commit, as the app's user. Safe to repeat. */
export async function removeModules(place: Place, root: string, io: Io): Promise<void> {
  const { user, timeout } = place;
  const folders = (await installedPaths(place, root, io)).filter((path) => path.endsWith("/node_modules"));
  for (let at = 0; at < folders.length; at += ONE_COMMAND)
    await io.run(["rm", "-rf", "--", ...folders.slice(at, at + ONE_COMMAND)], {
      user,
      timeout,
      cwd: root,
      quiet: true,
    });
}

/**
 * Packs the modules below `root` into the archive of `key`; answers its path. A deploy does not fail because of this:
 * the answer is null with a warning when it cannot be done, and null without one when a link leads to this very
 * release.
 */
export async function keepModules(place: Place, key: string, root: string, io: Io): Promise<string | null> {
  const { user, timeout, base } = place;
  const paths = await installedPaths(place, root, io);
  if (paths.length === 0) return null;
  const links = ["-type", "l", "-lname", `${root}/*`, "-print", "-quit"];
  const own = await io.run(["find", ...paths, ...links], { user, timeout, cwd: root, quiet: true });
  if (own.text !== "") return null;
  const archive = archiveOf(base, key);
  const temp = `${archive}.tmp.${process.pid}`;
  try {
    await mkdir(storeFolder(base), { recursive: true, mode: 0o755 });
    await removeFile(temp);
    const file = openSync(temp, "wx", 0o600);
    try {
      await io.run(["tar", "-c", "-f", "-", "--", ...paths], { user, timeout, cwd: root, quiet: true, stdout: file });
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    await rename(temp, archive);
    await syncFolder(storeFolder(base));
    return archive;
  } catch (error) {
    await removeFile(temp);
    if (io.signal.aborted) throw error;
    io.warn(`the next release installs anew, these modules could not be kept: ${messageOf(error)}`);
    return null;
  }
}

/** Whether the archive of a key exists. */
export const isKept = (base: string, key: string): Promise<boolean> => exists(archiveOf(base, key));

/** Unpacks an archive below `root`; false when it cannot be read, and then nothing is left of it. */
export async function restoreModules(place: Place, key: string, root: string, io: Io): Promise<boolean> {
  const { user, timeout, base } = place;
  const archive = archiveOf(base, key);
  const file = openSync(archive, "r");
  try {
    await io.run(["tar", "-x", "-b", "2048", "-f", "-"], { user, timeout, cwd: root, quiet: true, stdin: file });
    return true;
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`${basename(archive)} could not be used: ${messageOf(error)}`);
    await removeFile(archive);
    await removeModules(place, root, io);
    return false;
  } finally {
    closeSync(file);
  }
}

type Owner = Pick<Place, "base" | "user">;

/** Whether the package manager KEY is fetched completely. */
export async function isComplete(base: string, key: string): Promise<boolean> {
  const folder = join(storeFolder(base), key);
  return (await readText(`${folder}.json`)) !== null && (await exists(folder));
}

/** An empty folder KEY that belongs to the build user; earlier content is removed. Needs the app's lock. */
export async function freshFolder({ base, user }: Owner, key: string, io: Io): Promise<void> {
  await mkdir(storeFolder(base), { recursive: true, mode: 0o755 });
  await removeKept({ base, user }, key, io);
  const owner = user && process.getuid?.() === 0 ? ["-o", user, "-g", user] : [];
  const folder = join(storeFolder(base), key);
  await io.run(["install", "-d", "-m", "755", ...owner, "--", folder], { quiet: true });
}

/** Marks the folder KEY as complete, after it is closed and its files are on the disk. */
export async function markComplete(place: Place, key: string, facts: Record<string, unknown>, io: Io): Promise<void> {
  const folder = join(storeFolder(place.base), key);
  await seal(folder, { maker: place.user, reader: place.reader }, io);
  await io.run(["sync", "-f", folder], { quiet: true, timeout: 300_000 });
  await writeFileAtomic(`${folder}.json`, `${JSON.stringify({ version: 1, ...facts })}\n`, 0o644);
}

/** Removes an archive or a package manager, its marker first. Safe to repeat. */
export async function removeKept({ base, user }: Owner, name: string, io: Io): Promise<void> {
  const path = join(storeFolder(base), name);
  if (name.endsWith(".tar")) return void (await removeFile(path));
  await removeFile(`${path}.json`);
  await removeTree(path, user, io);
}

/** Removes what none of the runtimes uses; answers the removed paths. Unknown names stay. */
export async function pruneStore(owner: Owner, kept: readonly Runtime[], io: Io): Promise<string[]> {
  const folder = storeFolder(owner.base);
  if (!(await exists(folder))) return [];
  await removeStaleTemps(folder);
  const used = kept.flatMap((runtime) => [runtime.dependencies ?? "", ...runtime.path]);
  const names = (await readdir(folder)).filter((name) => OURS.test(name) && !name.endsWith(".json"));
  const isUsed = (path: string) => used.some((entry) => entry === path || entry.startsWith(`${path}/`));
  const removed = names.map((name) => join(folder, name)).filter((path) => !isUsed(path));
  for (const path of removed) await removeKept(owner, basename(path), io);
  return removed;
}
