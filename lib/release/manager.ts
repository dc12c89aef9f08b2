// The manager of each release: the one of config.yml, or the one of its app type. It is noted at the start, so that
// releases of another type, or from before a change of config.yml, are found and stopped as well.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { factOf, load } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { namesIn, ownText, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { idsOf } from "../host/users.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { compareInstances, isInstanceId, releaseOf } from "../text/ids.ts";
import { appType, manager } from "../registry.ts";
import { runFile } from "./history.ts";
import { givePortBack } from "./ports.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";
import type { ServerConfig } from "../config/types.ts";
import { appTypeNames } from "../config/kinds.ts";

const SUFFIX = ".manager";
const recordOf = ({ places }: NamedApp, id: string) => `${places.instances}/${id}${SUFFIX}`;
/** The manager whose instances start at boot: they all belong to one release. */
const enabledBy = ({ places }: NamedApp) => `${places.instances}/enabled-by`;

/** A manager by name: the operator's choice, or the one of an app type (named like the type). */
const named = async (name: string): Promise<Manager> =>
  (appTypeNames().includes(name) ? (await appType(name)).manager : undefined) ?? manager(name);

/**
 * The manager that must start the instances of an app of that type: the operator's, if it is made for the type; else the
 * type's own; else the operator's.
 */
export async function managerFor(type: string, server: Pick<ServerConfig, "manager">): Promise<Manager> {
  const chosen = await manager(server.manager);
  return chosen.types?.includes(type) ? chosen : ((await appType(type)).manager ?? chosen);
}

/** What there is of an instance that is about to start: it was started before, or not; or its first start is prepared. */
export type Readiness = "started" | "new" | "prepared";

/**
 * Lets the manager that starts a web process of an app of that type get ready for it. What was started before is there
 * already, or has to be stopped first.
 */
export async function prepareStart(app: App, type: string, id: string): Promise<Readiness> {
  if (existsSync(recordOf(app, id))) return "started";
  const { prepare, isPrepared } = await managerFor(type, app.server);
  const name = { app: app.name, id };
  prepare?.({ ...name, user: app.server.user });
  return isPrepared?.(name) ? "prepared" : "new";
}

/** The same before the release has its files, for a manager that takes longer than they do. */
export async function prepareLong(app: App, type: string, id: string): Promise<void> {
  if ((await managerFor(type, app.server)).preparesLong) await prepareStart(app, type, id);
}

/** Ends what prepareStart has begun, and gives back the port, unless the instance was started. */
export async function unprepareStart(app: App, type: string, id: string, io: Io): Promise<void> {
  if (existsSync(recordOf(app, id)) || (await app.live()) === id) return;
  await (await managerFor(type, app.server)).unprepare?.({ app: app.name, id }, io);
  await givePortBack(app, id);
}

const noted = async (file: string, server: ServerConfig) => ownText(file)?.trim() || server.manager;

async function note({ places }: NamedApp, file: string, name: string): Promise<void> {
  await mkdir(places.instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(file, `${name}\n`, 0o600);
}

const notedIds = async ({ places }: NamedApp) => idsIn(await namesIn(places.instances));

const idsIn = (files: readonly string[]): string[] =>
  files.flatMap((file) => (file.endsWith(SUFFIX) ? [file.slice(0, -SUFFIX.length)] : [])).filter(isInstanceId);

/** The names of all managers that may have an instance of the app. */
async function namesInUse(app: NamedApp, server: ServerConfig): Promise<Set<string>> {
  const names = (await notedIds(app)).map((id) => noted(recordOf(app, id), server));
  return new Set([server.manager, ...(await Promise.all(names))]);
}

/**
 * The names of the managers that were given an instance of the app to run, or to start at boot, and have not forgotten
 * it since.
 */
export async function recordedManagers(app: NamedApp): Promise<Set<string>> {
  const records = (await notedIds(app)).map((id) => recordOf(app, id));
  const names = await Promise.all([...records, enabledBy(app)].map(readText));
  return new Set(names.flatMap((name) => name?.trim() || []));
}

async function start(app: NamedApp, instance: Instance, server: ServerConfig, io: Io): Promise<void> {
  const record = recordOf(app, instance.id);
  const known = (await readText(record))?.trim();
  const before = known || server.manager;
  const after = (await managerFor(instance.config.type, server)).name;
  if (before !== after) {
    await (await named(before)).stop(instance, io);
    await (await named(before)).forget(instance, io);
  }
  if (known !== after) await note(app, record, after);
  await (await named(after)).start(instance, io);
}

async function instances(app: NamedApp, server: ServerConfig): Promise<string[]> {
  const managers = await Promise.all([...(await namesInUse(app, server))].map(named));
  const ids = (await Promise.all(managers.map((each) => each.instances(app.name)))).flat();
  return [...new Set(ids)].sort(compareInstances);
}

/** The name of the manager of each instance that was started and not forgotten; `files`: see statesOf. */
export async function managersOf(app: App, files: readonly string[]): Promise<Map<string, string>> {
  const notes = idsIn(files).map(async (id) => [id, await noted(recordOf(app, id), app.server)] as const);
  return new Map(await Promise.all(notes));
}

/**
 * The instances of an app that run, wait or have failed, with their status, in one look. `managers`: what managersOf has
 * answered; `files`: the names in the app's folder `instances`.
 */
export async function statesOf(
  { name, server }: App,
  managers: ReadonlyMap<string, string>,
  files: readonly string[],
): Promise<Map<string, InstanceStatus>> {
  const names = [...new Set([server.manager, ...managers.values()])];
  const found = await Promise.all(
    names.map(async (each) => [each, await statesBy(await named(each), name, files)] as const),
  );
  const all = new Map<string, InstanceStatus>();
  for (const [manager, states] of found) {
    // Of an instance that two managers know, its own one is believed.
    for (const [id, status] of states) if (!all.has(id) || managers.get(id) === manager) all.set(id, status);
  }
  return all;
}

async function statesBy(manager: Manager, app: string, files: readonly string[]) {
  if (manager.states) return manager.states(app, files);
  const ids = await manager.instances(app);
  return new Map(await Promise.all(ids.map(async (id) => [id, await manager.status({ app, id })] as const)));
}

async function enable(app: NamedApp, ids: readonly string[], server: ServerConfig, io: Io): Promise<boolean> {
  const before = await noted(enabledBy(app), server);
  const [id] = ids;
  const after = id === undefined ? before : await noted(recordOf(app, id), server);
  // The new manager first: if the machine goes down in between, both start their instances, and reconcile stops one.
  const isNew = await (await named(after)).enable(app.name, ids, io);
  if (before !== after) await (await named(before)).enable(app.name, [], io);
  // Noted the first time as well, because config.yml may name another manager the next time.
  if ((await readText(enabledBy(app)))?.trim() !== after) await note(app, enabledBy(app), after);
  return isNew || before !== after;
}

/** The name of the manager that has an instance. */
export const managerNameOf = (app: App, id: string): Promise<string> => noted(recordOf(app, id), app.server);

/** The instances of a release that were started and not forgotten since, whether they run or not. */
export async function knownInstances(app: NamedApp, release: string): Promise<string[]> {
  return (await notedIds(app)).filter((id) => releaseOf(id) === release);
}

// The manager keeps an instance's output when the instance is forgotten: after the end of a job, or the failure of a
// release.
async function keeper(app: NamedApp, id: string, server: ServerConfig): Promise<Manager> {
  const release = releaseOf(id);
  for (const known of [id, release]) {
    const name = (await readText(recordOf(app, known)))?.trim();
    if (name) return named(name);
  }
  const { type } = factOf(await load(runFile(app, release)), "config", fact.config);
  return managerFor(type, server);
}

async function ownerBy(managed: Manager, name: InstanceName, port: number, server: ServerConfig) {
  if (process.getuid?.() !== 0) return null;
  if (managed.owner) return managed.owner(name, port);
  return server.user === undefined ? null : (await idsOf(server.user))[0];
}

/**
 * The managers of an app's releases, as one: each release belongs to the manager that started it. Managers are loaded
 * on first use.
 */
export function managerOf(app: NamedApp, server: ServerConfig): Manager {
  const chosen = () => manager(server.manager);
  const of = async ({ id }: InstanceName) => named(await noted(recordOf(app, id), server));
  return {
    name: server.manager,
    summary: "what runs the releases of an app",
    unavailable: async (path) => (await chosen()).unavailable(path),
    setup: async (managed, io) => (await chosen()).setup(managed, io),
    requireStartable: async (instance) => (await managerFor(instance.config.type, server)).requireStartable?.(instance),
    expectMany: async (name) => (await chosen()).expectMany?.(name),
    settle: async () => (await (await chosen()).settle?.()) ?? true,
    start: (instance, io) => start(app, instance, server, io),
    stop: async (name, io) => (await of(name)).stop(name, io),
    status: async (name) => (await of(name)).status(name),
    adopt: async (name, io) => (await (await of(name)).adopt?.(name, io)) ?? false,
    pids: async (name) => (await of(name)).pids(name),
    owner: async (name, port) => ownerBy(await of(name), name, port, server),
    published: async (name) => (await (await of(name)).published?.(name)) ?? null,
    instances: () => instances(app, server),
    enable: (_, ids, io) => enable(app, ids, server, io),
    enabled: async () => (await named(await noted(enabledBy(app), server))).enabled(app.name),
    drift: async (managed) => (await (await chosen()).drift?.(managed)) ?? [],
    async forget(name, io) {
      await (await of(name)).forget(name, io);
      await removeFile(recordOf(app, name.id));
    },
    async prune(name, io) {
      const all = await Promise.all([...(await namesInUse(app, server))].map(named));
      const gone: string[] = [];
      for (const each of all) gone.push(...((await each.prune?.(name, io)) ?? []));
      return gone;
    },
    logs: async (name, options, io) => (await keeper(app, name.id, server)).logs(name, options, io),
  };
}
