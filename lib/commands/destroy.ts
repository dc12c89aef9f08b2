// `dp destroy`: removes an app, piece by piece; after an interruption it is typed again.
import { existsSync } from "node:fs";
import { chmod, mkdir, open, readdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { changeHolders } from "../access/change.ts";
import { keysFile } from "../access/places.ts";
import { setCron } from "../cron/cron.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, syncFolder, writeFileAtomic } from "../host/files.ts";
import { managersOf } from "./managers.ts";
import { makeIo, silentLog, type Io } from "../host/io.ts";
import { places, root } from "../paths.ts";
import { endAll } from "../host/process/end-all.ts";
import { allPids } from "../host/process/proc.ts";
import { hasEnvironment, userOf as ownerOf } from "../host/process/process.ts";
import { front } from "../registry.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { lockNow } from "../deploy/queue.ts";
import { appNames } from "../config/server.ts";
import { builderName, idsOf, userExists, userOf } from "../host/users.ts";
import type { ServerConfig } from "../config/types.ts";
import { frontNames } from "../config/kinds.ts";

export interface Destroyed {
  app: string;
  /** One sentence for each thing that was removed. */
  changes: string[];
  /** The archive of the settings, config.yml and shared files, or null. */
  archive: string | null;
}

const PATIENCE = 10_000;
const LONG = 60 * 60_000;
/** These stay in the base folder to the end, so that an interrupted run can be repeated. */
const LAST = ["config.yml", "lock", "destroyed"];

/** The question to the owner before an app is removed. Throws DpError "usage" when there is no such app. */
export async function questionFor(name: string): Promise<string> {
  if (!existsSync(namedApp(name).places.base)) await openApp(name);
  return `This removes ${name}: its processes, releases, logs and repository. Type its name: `;
}

/**
 * Removes an app. Throws DpError "locked" while a deploy runs, or while somebody has locked the app. Safe to repeat
 * after an interruption.
 */
export async function destroy(name: string, options: { purge: boolean }): Promise<Destroyed> {
  const app = namedApp(name);
  const { base, repo, releases, logs } = app.places;
  const changes: string[] = [];
  const io = makeIo(silentLog);
  const server = await serverOf(app);
  requireUnlocked(app);
  const lock = await lockNow(app, "dp destroy");
  try {
    const note = async (what: string, isDone: Promise<boolean>) => void ((await isDone) && changes.push(what));
    const user = server && (await ownUserOf(name, server));
    await managersOf(app, server);
    if (server) {
      for (const each of frontNames()) await (await front(each)).remove(name, io);
      changes.push(`released port ${server.port}`);
      changes.push(...(await removeDomains(name, server, io)));
    }
    await note("removed the repository", remove(repo, io));
    changes.push(...(await setCron(app, [], io)), ...(await stopAll(app, server, io)));
    await endLeftovers(app, user);
    const archive = options.purge ? null : await archiveOf(app, io);
    for (const each of await managersOf(app, server)) changes.push(...((await each.remove?.(name, io)) ?? []));
    // Releases first: while they exist, the app could start again and write data that the archive does not have.
    await remove(releases, io);
    for (const entry of await readdir(base)) if (!LAST.includes(entry)) await remove(join(base, entry), io);
    changes.push("removed its releases");
    for (const each of await usersToRemove(app, user))
      await note(
        `removed the system user ${each}`,
        io.run(["userdel", each], { quiet: true }).then(() => true),
      );
    await note("removed its logs", remove(logs, io));
    changes.push(...(await takeFromKeys(name)));
    for (const file of ["destroyed", "config.yml"]) await removeFile(join(base, file));
    await note(`removed ${base}`, remove(base, io));
    return { app: name, changes, archive };
  } finally {
    lock.release();
  }
}

// An app of the same name that is made later is nobody's. With a damaged keys.json no key is let in, and root goes on.
async function takeFromKeys(app: string): Promise<string[]> {
  if (!existsSync(keysFile())) return [];
  try {
    const names = await changeHolders((all) => {
      const held = all.filter(({ apps }) => apps.some((each) => each.app === app));
      for (const holder of held) holder.apps = holder.apps.filter((each) => each.app !== app);
      return held.map(({ name }) => name);
    });
    return names.map((name) => `took ${app} from the keys of ${name}`);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return [`${error.message}: when it is mended, take ${app} out of it with dp keys deny`];
  }
}

async function removeDomains(app: string, { domains }: ServerConfig, io: Io): Promise<string[]> {
  if (domains.length === 0) return [];
  const { removeName } = await import("../domains/pair.ts");
  const { unused } = await import("../domains/owners.ts");
  const { stopUnused } = await import("../domains/clock.ts");
  const hosts = await unused(
    domains.map(({ name }) => name),
    app,
  );
  for (const host of hosts) await removeName(host);
  await stopUnused(app, io);
  return hosts.length === 0 ? [] : [`removed the certificates of ${hosts.join(", ")}`];
}

// An app without config.yml is the rest of an interrupted run.
async function serverOf({ name, places: { base, config } }: NamedApp): Promise<ServerConfig | null> {
  return existsSync(base) && !existsSync(config) ? null : (await openApp(name)).server;
}

/** The app's own system user, if it exists and no other app uses it. */
async function ownUserOf(app: string, server: ServerConfig): Promise<string | null> {
  const user = userOf(app);
  if (server.user !== user || process.getuid?.() !== 0 || root() !== "" || !userExists(user)) return null;
  for (const other of await appNames()) {
    const text = other === app ? null : await readText(places(other).config);
    if (text !== null && new RegExp(`^user:\\s*["']?${user}["']?\\s*(?:#.*)?$`, "m").test(text)) return null;
  }
  return user;
}

// The builder first: it is in the group of the app's user.
async function usersToRemove({ name }: NamedApp, user: string | null): Promise<string[]> {
  const hasBuilder = process.getuid?.() === 0 && root() === "" && userExists(builderName(name));
  return [...(hasBuilder ? [builderName(name)] : []), ...(user === null ? [] : [user])];
}

async function stopAll(app: NamedApp, server: ServerConfig | null, io: Io): Promise<string[]> {
  const { name } = app;
  const stopped: string[] = [];
  for (const each of await managersOf(app, server)) {
    await each.enable(name, [], io);
    for (const id of await each.instances(name)) {
      await each.stop({ app: name, id }, io);
      stopped.push(`stopped ${name}@${id}`);
    }
  }
  return stopped;
}

// Ends one-off commands, builds and processes left by an instance: everything with the app's user or its home.
async function endLeftovers(app: NamedApp, user: string | null): Promise<void> {
  const uids = await Promise.all((await usersToRemove(app, user)).map(async (each) => (await idsOf(each))[0]));
  const home = `HOME=${app.places.home}`;
  const isOf = (pid: number) => pid !== process.pid && (uids.includes(ownerOf(pid) ?? -1) || hasEnvironment(pid, home));
  await endAll(() => allPids().filter(isOf), PATIENCE);
}

/** Archives what cannot be pushed again; if the releases are gone, an interrupted run has done so already. */
async function archiveOf({ name, places: { base, releases } }: NamedApp, io: Io): Promise<string | null> {
  const marker = join(base, "destroyed");
  const before = (await readText(marker))?.trim();
  if (before && existsSync(before) && !existsSync(releases)) return before;
  const names = (await readdir(base)).filter(
    (file) => file === "config.yml" || file === "shared" || file.startsWith(".env."),
  );
  if (names.length === 0) return null;
  const folder = `${root()}/var/backups/dp`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const path = join(folder, `${name}-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}.tar.gz`);
  const temp = `${path}.tmp.${process.pid}`;
  await removeFile(temp);
  const file = await open(temp, "wx", 0o600);
  try {
    const argv = ["tar", "-c", "-z", "--numeric-owner", "-C", base, "--", ...names.map((file) => `./${file}`)];
    await io.run(argv, { stdout: file.fd, quiet: true, timeout: LONG });
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temp, path);
  await syncFolder(dirname(path));
  await writeFileAtomic(marker, `${path}\n`);
  return path;
}

/** Removes a file or folder; false when there was none. rm follows no link, and no process of the app runs any more. */
async function remove(path: string, io: Io): Promise<boolean> {
  if (!(await readdir(dirname(path)).catch((): string[] => [])).includes(basename(path))) return false;
  await io.run(["rm", "-rf", "--one-file-system", "--", path], { quiet: true, timeout: LONG });
  return true;
}
