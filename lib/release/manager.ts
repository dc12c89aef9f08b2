// The manager of each release: the one of config.yml, or the one that its app type brings. Noted when it is started,
// so that releases of another type, or from before config.yml named another manager, are found and stopped as well.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { factOf, load } from "../pipeline/context.ts";
import { fact } from "../pipeline/facts.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { idsOf } from "../host/users.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { compareInstances, isInstanceId, places, releaseOf } from "../paths.ts";
import { appType, manager } from "../registry.ts";
import { contextOf } from "./history.ts";
import type { InstanceName } from "../host/instance.ts";
import type { ServerConfig } from "../config/types.ts";
import { appTypeNames } from "../config/kinds.ts";

const SUFFIX = ".manager";
const recordOf = ({ app, id }: InstanceName) => join(places(app).instances, `${id}${SUFFIX}`);
/** The manager whose instances come up at boot: they are all of one release. */
const enabledBy = (app: string) => join(places(app).instances, "enabled-by");

/** A manager by its name: an operator's choice, or what an app type brings (named like the type). */
const named = async (name: string): Promise<Manager> =>
  (appTypeNames().includes(name) ? (await appType(name)).manager : undefined) ?? manager(name);

/** The name of the manager that an instance is to be started by. */
const wanted = async ({ config }: Instance, server: ServerConfig): Promise<string> =>
  (await appType(config.type)).manager?.name ?? server.manager;

const noted = async (file: string, server: ServerConfig) => (await readText(file))?.trim() || server.manager;

async function note(app: string, file: string, name: string): Promise<void> {
  await mkdir(places(app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(file, `${name}\n`, 0o600);
}

async function notedIds(app: string): Promise<string[]> {
  const files = await namesIn(places(app).instances);
  return files.flatMap((file) => (file.endsWith(SUFFIX) ? [file.slice(0, -SUFFIX.length)] : [])).filter(isInstanceId);
}

/** Every manager that may have an instance of the app, by name. */
async function namesInUse(app: string, server: ServerConfig): Promise<Set<string>> {
  const names = (await notedIds(app)).map((id) => noted(recordOf({ app, id }), server));
  return new Set([server.manager, ...(await Promise.all(names))]);
}

/** The names of the managers that were given something of the app's to run, or to start at boot, and not forgotten since. */
export async function recordedManagers(app: string): Promise<Set<string>> {
  const records = (await notedIds(app)).map((id) => recordOf({ app, id }));
  const names = await Promise.all([...records, enabledBy(app)].map(readText));
  return new Set(names.flatMap((name) => name?.trim() || []));
}

async function start(instance: Instance, server: ServerConfig, io: Io): Promise<void> {
  const [before, after] = [await noted(recordOf(instance), server), await wanted(instance, server)];
  if (before !== after) {
    await (await named(before)).stop(instance, io);
    await (await named(before)).forget(instance, io);
  }
  await note(instance.app, recordOf(instance), after);
  await (await named(after)).start(instance, io);
}

async function instances(app: string, server: ServerConfig): Promise<string[]> {
  const managers = await Promise.all([...(await namesInUse(app, server))].map(named));
  const ids = (await Promise.all(managers.map((each) => each.instances(app)))).flat();
  return [...new Set(ids)].sort(compareInstances);
}

async function enable(app: string, ids: readonly string[], server: ServerConfig, io: Io): Promise<boolean> {
  const before = await noted(enabledBy(app), server);
  const [id] = ids;
  const after = id === undefined ? before : await noted(recordOf({ app, id }), server);
  // The new one first: a machine that goes down in between comes up with both, and reconcile stops one.
  const isNew = await (await named(after)).enable(app, ids, io);
  if (before !== after) await (await named(before)).enable(app, [], io);
  // Noted the first time as well: config.yml may name another manager by the next.
  if ((await readText(enabledBy(app)))?.trim() !== after) await note(app, enabledBy(app), after);
  return isNew || before !== after;
}

/** The name of the manager that a release is in the hands of. */
export const managerNameOf = (name: InstanceName, server: ServerConfig): Promise<string> =>
  noted(recordOf(name), server);

/** The instances of a release that were started once and not forgotten since, whether they run or not. */
export async function knownInstances(app: string, release: string): Promise<string[]> {
  return (await notedIds(app)).filter((id) => releaseOf(id) === release);
}

// What an instance said is kept by its manager when it is forgotten: a job when it has ended, a release when it has failed.
async function keeper({ app, id }: InstanceName, server: ServerConfig): Promise<Manager> {
  const release = releaseOf(id);
  for (const known of [id, release]) {
    const name = (await readText(recordOf({ app, id: known })))?.trim();
    if (name) return named(name);
  }
  const { type } = factOf(await load(contextOf(app, release)), "config", fact.config);
  return named((await appType(type)).manager?.name ?? server.manager);
}

async function ownerBy(managed: Manager, name: InstanceName, port: number, server: ServerConfig) {
  if (process.getuid?.() !== 0) return null;
  if (managed.owner) return managed.owner(name, port);
  return server.user === undefined ? null : (await idsOf(server.user))[0];
}

/** The manager of an app's releases, as one: each release is in the hands of the manager that started it. */
export async function managerOf(server: ServerConfig): Promise<Manager> {
  const chosen = await manager(server.manager);
  const of = async (name: InstanceName) => named(await noted(recordOf(name), server));
  return {
    name: chosen.name,
    summary: chosen.summary,
    unavailable: (path) => chosen.unavailable(path),
    setup: (app, io) => chosen.setup(app, io),
    requireStartable: (instance) => chosen.requireStartable?.(instance),
    start: (instance, io) => start(instance, server, io),
    stop: async (name, io) => (await of(name)).stop(name, io),
    status: async (name) => (await of(name)).status(name),
    adopt: async (name, io) => (await (await of(name)).adopt?.(name, io)) ?? false,
    pids: async (name) => (await of(name)).pids(name),
    owner: async (name, port) => ownerBy(await of(name), name, port, server),
    published: async (name) => (await (await of(name)).published?.(name)) ?? null,
    instances: (app) => instances(app, server),
    enable: (app, ids, io) => enable(app, ids, server, io),
    enabled: async (app) => (await named(await noted(enabledBy(app), server))).enabled(app),
    drift: async (app) => (await chosen.drift?.(app)) ?? [],
    async forget(name, io) {
      await (await of(name)).forget(name, io);
      await removeFile(recordOf(name));
    },
    logs: async (name, options, io) => (await keeper(name, server)).logs(name, options, io),
  };
}
