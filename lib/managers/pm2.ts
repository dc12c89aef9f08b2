// pm2: a separate daemon for each app, run by the app's user; one process APP-ID for each instance.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { namesIn, removeFile } from "../host/files.ts";
import { makeIo, silentLog, type Io } from "../host/io.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { places } from "../paths.ts";
import { compareInstances, isInstanceId, releaseOf } from "../text/ids.ts";
import { processEntry, userOf } from "../host/process/process.ts";
import {
  daemonDrift,
  enableDaemon,
  endIdleDaemon,
  isEnabled,
  removeDaemon,
  setUpDaemon,
  startDaemon,
} from "./pm2/daemon.ts";
import { save, savedIds } from "./pm2/dump.ts";
import { filesOf, idOfProcess, ownerOf, requireShortHome } from "./pm2/home.ts";
import { listed, listing } from "./pm2/listing.ts";
import { appProcesses, endProcesses, endStarters, isWorker } from "./pm2/processes.ts";
import { logs } from "./pm2/logs.ts";
import { missing, runPm2 } from "./pm2/program.ts";
import { readRecord, writeRecord } from "./pm2/record.ts";
import { call } from "./pm2/rpc.ts";
import { writeFiles } from "./pm2/script.ts";
import { statusFrom } from "./pm2/status.ts";
import { idsOf } from "../host/users.ts";
import type { InstanceName, InstanceStatus, ManagedApp } from "../host/instance.ts";
import { clusterOf } from "./pm2/cluster.ts";

const STOP_TIMEOUT = 10_000;
const RECORD = ".pm2.json";

async function setup({ app, path }: ManagedApp, io: Io): Promise<string[]> {
  requireShortHome(app);
  return setUpDaemon(app, path, io);
}

async function start(instance: Instance, delay: number, io: Io): Promise<void> {
  const { app, id, folder, path } = instance;
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new DpError("command", `${app}@${id} cannot be started: there is no folder ${folder}`);
  if (instance.user !== undefined) await idsOf(instance.user);
  requireShortHome(app);
  await endStarters(instance, STOP_TIMEOUT);
  await stop(instance);
  await startDaemon(app, path, io);
  // A restarted daemon has started the processes of its dump, including this one.
  await stop(instance);
  await writeFiles(instance, delay);
  const { ecosystem } = filesOf(instance);
  try {
    await runPm2(app, ["start", ecosystem], path, io);
  } finally {
    await removeFile(ecosystem);
  }
  // Its shell must be ready first: until then there is no process to report.
  await status(instance);
}

async function stop(name: InstanceName): Promise<void> {
  const record = await readRecord(name);
  const timeout = record?.stopTimeout ?? STOP_TIMEOUT;
  const processes = (await listed(name)) ?? [];
  if (record === null && processes.length === 0) return;
  // pm2 ends them by itself; what it cannot reach, or left behind when it was killed, is ended here.
  const gone = processes.map(({ pm_id }) => call(name.app, "deleteProcessId", [pm_id], timeout + STOP_TIMEOUT));
  const told = await Promise.allSettled(gone);
  await endProcesses(name, processes, timeout);
  const failed = told.find((outcome) => outcome.status === "rejected");
  if (failed && (await listed(name))?.length) throw failed.reason;
  if (record && !record.isStopped) await writeRecord(name, { ...record, isStopped: true });
}

/** A shell that has not started the app yet, or is about to report how it ended, is waited for briefly. */
async function status(name: InstanceName): Promise<InstanceStatus> {
  for (let tries = 0; ; tries++) {
    const now = await statusFrom(name, await listed(name));
    if (now.state !== "waiting" || now.detail !== "" || tries === 300) return now;
    await Bun.sleep(10);
  }
}

async function pids(name: InstanceName): Promise<number[]> {
  const processes = (await listed(name)) ?? [];
  const own = appProcesses(name, processes);
  if (!processes.some(isWorker)) return own;
  // The workers' socket belongs to the daemon: it listens, and hands each connection to one of them.
  const parents = processes.map(({ pid }) => (pid === 0 ? undefined : processEntry(pid)?.parent));
  const daemons = parents.filter((pid) => pid !== undefined && userOf(pid) === ownerOf(name.app).uid) as number[];
  return [...new Set([...own, ...daemons])];
}

async function instances(app: string): Promise<string[]> {
  const all = (await listing(app)) ?? [];
  const noted = (await namesIn(places(app).instances)).filter((file) => file.endsWith(RECORD));
  const ids = [...all.map(({ name }) => idOfProcess(app, name)), ...noted.map((file) => file.slice(0, -RECORD.length))];
  const known = [...new Set(ids)].filter((id) => id !== null && isInstanceId(id)) as string[];
  const states = await Promise.all(known.map(async (id) => ({ id, state: (await status({ app, id })).state })));
  const wanted = states.filter(({ state }) => state !== "stopped").map(({ id }) => id);
  return wanted.sort(compareInstances);
}

async function enable(app: string, ids: readonly string[], io: Io): Promise<boolean> {
  const processes = (await Promise.all(ids.map(async (id) => (await listed({ app, id })) ?? []))).flat();
  const isNew = ids.length > 0 && (await enableDaemon(app, io));
  const isOther = await save(app, processes, io);
  if (ids.length === 0) await endIdleDaemon(app, io);
  return isNew || isOther;
}

async function forget(name: InstanceName, io: Io): Promise<void> {
  const { log, older, ...own } = filesOf(name);
  for (const file of Object.values(own)) await removeFile(file);
  // The log of a release is removed with its folder, by the app's user, who owns the folder of the log.
  if (!existsSync(join(places(name.app).releases, releaseOf(name.id))) && existsSync(places(name.app).home))
    await io.run(["rm", "-f", "--", log, older], { user: ownerOf(name.app).user, quiet: true, check: false });
  await endIdleDaemon(name.app, io);
}

/** In cluster mode pm2 loads a node script itself: no other command can have workers. */
function requireStartable({ command, workers = 1, env }: Instance): void {
  if (workers > 1) clusterOf(command, workers, env);
}

/** The instances that the daemon starts at boot. */
const enabled = async (app: string) => (isEnabled(app) ? savedIds(app, makeIo(silentLog)) : []);

/** The manager; `delay`: ms between a crash and the next start; `path`: where to look for pm2 by default. */
export function makePm2(delay = 1_000, path?: string): Manager {
  return {
    name: "pm2",
    summary: "pm2, with one daemon for each app",
    unavailable: async (given) => missing(given ?? path),
    setup: (managed, io) => setup({ ...managed, path: managed.path ?? path }, io),
    requireStartable,
    start: (instance, io) => start({ ...instance, path: instance.path ?? path }, delay, io),
    drift: ({ app, path: given }) => daemonDrift(app, given ?? path),
    stop,
    status,
    pids,
    instances,
    enable,
    enabled,
    forget,
    logs,
    remove: removeDaemon,
  };
}

export default makePm2();
