// dp's own manager: one small supervisor process per instance, for machines without systemd and for tests.
import { existsSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { pace } from "../host/pace.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { places } from "../paths.ts";
import { compareInstances, isInstanceId, isJob } from "../text/ids.ts";
import { bootId } from "../host/process/process.ts";
import { logs } from "../host/supervisor/logs.ts";
import { withdraw } from "../host/supervisor/order.ts";
import { writeSpec } from "../host/supervisor/spec.ts";
import { guardAll, isShared, prepareShared, share, shareSupervisors } from "../host/supervisor/shared.ts";
import { prepare as prepareSupervisor, sendOff, spawnSuccessor, spawnSupervisor } from "../host/supervisor/starter.ts";
import {
  filesOf,
  isRunning,
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  keepState,
  type Spec,
  type State,
} from "../host/supervisor/supervision.ts";
import { endAll } from "../host/process/end-all.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";

/** The end of the name of a spec. */
const SPEC = ".json";
const STOP_TIMEOUT = 10_000;
/** Milliseconds within which a guard that was killed has been replaced, and a late one has come: many come at once. */
const GUARD_BACK = 3_000;
/** Milliseconds that a supervisor may take to report that the app runs; under load it takes seconds. */
const START_TIMEOUT = 60_000;
/** Milliseconds between two reads of its report: a read is a file of a few lines. */
const LOOK = 3;
const ORPHAN = "its supervisor was killed: nothing keeps its output or starts it again after a crash";

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

async function start(instance: Instance, io: Io, restartDelay: number): Promise<void> {
  const { app, id, folder } = instance;
  const cannot = (why: string) => new DpError("command", `${app}@${id} cannot be started: ${why}`);
  // After a reboot nothing of it runs, and its record goes anyway: no app waits until the disk has it once more.
  const isStale = isOfAnotherBoot(await readRecord<Spec>(filesOf(instance).spec));
  if (!isStale) await stop(instance);
  if (!isFolder(folder)) throw cannot(`there is no folder ${folder}`);
  await writeSpec(instance, restartDelay, isStale);
  const files = filesOf(instance);
  let supervisor =
    sendOff(files.spec) ??
    (isJob(id) ? null : share(files.spec, instance.isAhead ?? false)) ??
    spawnSupervisor(files.spec);
  const end = performance.now() + START_TIMEOUT;
  for (;;) {
    // To look first costs less than the error while it is not there, as for most of the time.
    const state = existsSync(files.state) ? await readRecord<State>(files.state) : null;
    if (state?.hasRun) return;
    if (performance.now() > end) throw cannot(`its supervisor has not answered for ${START_TIMEOUT / 1000} s`);
    if (state?.state === "failed") throw cannot(state.refusal ?? state.detail);
    if (supervisor.isGone()) {
      if (!supervisor.isShared) throw cannot("its supervisor ended at once");
      supervisor = spawnSuccessor(files.spec);
    }
    await pace(LOOK, io);
  }
}

/** What there is of the instance is stopped at its start, with all its supervisors: one more would be of no use. */
function prepare(name: InstanceName): void {
  const { spec } = filesOf(name);
  if (!existsSync(spec)) prepareSupervisor(spec);
}

/** After a reboot all of them are started soon: the supervisor of many gets ready meanwhile. */
async function expectMany(app: string): Promise<void> {
  shareSupervisors();
  if (isShared()) return;
  const [id] = await enabled(app);
  if (id !== undefined && isOfAnotherBoot(await readRecord<Spec>(filesOf({ app, id }).spec))) prepareShared();
}

// The new supervisor takes over from the state file of the killed one, reopens the app's pipe, and reads it empty: an
// app that waits for room in the pipe goes on.
async function adopt(name: InstanceName, io: Io): Promise<boolean> {
  const { spec } = filesOf(name);
  // Its guard may be about to start one.
  if ((await status(name)).isOrphan !== true || supervisorsOf(spec).length > 0) return false;
  const supervisor = spawnSupervisor(spec);
  const end = performance.now() + START_TIMEOUT;
  while ((await status(name)).isOrphan === true) {
    if (supervisor.isGone() || performance.now() > end)
      throw new DpError("command", `${name.app}@${name.id} could not get a supervisor`, {
        hint: `dp restart ${name.app}`,
      });
    await io.sleep(10);
  }
  return true;
}

async function pids(name: InstanceName): Promise<number[]> {
  const files = filesOf(name);
  const [spec, state] = [await readRecord<Spec>(files.spec), await readRecord<State>(files.state)];
  return processesOf(name, spec?.uid ?? ownUser(), state?.boot === bootId() ? state.main : null);
}

/** Whether it was started before a reboot: nothing of it can run. False when that is not known. */
const isOfAnotherBoot = (spec: Spec | null) => spec?.boot !== undefined && spec.boot !== bootId();

async function stop(name: InstanceName): Promise<void> {
  const files = filesOf(name);
  // The spec is written before the supervisor starts and removed after it: without a spec there is nothing to stop.
  if (!existsSync(files.spec) && !existsSync(files.state)) return;
  const spec = await readRecord<Spec>(files.spec);
  // The processes of all apps need not be read for it.
  if (!isOfAnotherBoot(spec)) await endProcesses(name, spec);
  const state = await readRecord<State>(files.state);
  if (state && state.state !== "stopped")
    await keepState(files.state, { ...state, state: "stopped", main: null, since: null, detail: "" });
}

async function endProcesses(name: InstanceName, spec: Spec | null): Promise<void> {
  const files = filesOf(name);
  const timeout = spec?.stopTimeout ?? STOP_TIMEOUT;
  // Nobody has recorded that it began: whoever is about to begin it must not.
  if (!existsSync(files.state)) withdraw(files.spec);
  // The supervisor ends the app by itself; only one that hangs is killed, and then the app is ended here.
  const endGuards = () => endAll(() => supervisorsOf(files.spec), timeout + STOP_TIMEOUT);
  await endGuards();
  const state = await readRecord<State>(files.state);
  if (state && isHeld(state)) {
    if (await hasGuardAgain(files.spec)) await endGuards();
    await endShared(state);
  }
  const main = state?.boot === bootId() ? state.main : null;
  await endAll(() => processesOf(name, spec?.uid ?? ownUser(), main), timeout);
}

/** Whether a supervisor has an instance by its record, although there is no guard. On a full disk the record may be old. */
const isHeld = (state: State) =>
  (state.state === "running" || state.state === "waiting") && isRunning(state, state.supervisor);

/** Whether there is a guard again: a supervisor of many replaces one that was killed. Waits for that as long as it may take. */
async function hasGuardAgain(spec: string): Promise<boolean> {
  const end = performance.now() + GUARD_BACK;
  while (performance.now() < end) {
    if (supervisorsOf(spec).length > 0) return true;
    await Bun.sleep(20);
  }
  return false;
}

/**
 * Ends a supervisor of many that has not let go of an instance although its guard has ended: it hangs. The guards of its
 * other instances start others.
 */
async function endShared(state: State): Promise<void> {
  if (!isRunning(state, state.main)) return;
  await endAll(() => (isRunning(state, state.supervisor) ? [state.supervisor.pid] : []), 0);
}

/**
 * The last record, and whether its main process runs. A record whose main process has just gone will soon be rewritten,
 * with how it ended: waits for that briefly.
 */
async function settledRecord(name: InstanceName): Promise<{ state: State | null; isUp: boolean }> {
  for (let tries = 0; ; tries++) {
    const state = await readRecord<State>(filesOf(name).state);
    // What runs, or what was stopped, is the last word. Everything else may be about to be rewritten.
    if (state === null || state.state === "stopped") return { state, isUp: false };
    if (isRunning(state, state.main)) return { state, isUp: true };
    const isSupervised = isRunning(state, state.supervisor);
    if (state.state === "running" && isSupervised && tries < 50) await Bun.sleep(10);
    else if (isSupervised) return { state, isUp: false };
    // A supervisor writes its last record before it exits: when it is gone, that record is read once more.
    else return lastRecord(name);
  }
}

async function lastRecord(name: InstanceName): Promise<{ state: State | null; isUp: boolean }> {
  const state = await readRecord<State>(filesOf(name).state);
  return { state, isUp: state !== null && isRunning(state, state.main) };
}

async function status(name: InstanceName): Promise<InstanceStatus> {
  const { state, isUp } = await settledRecord(name);
  if (state === null) return { state: "stopped", pid: null, restarts: 0, since: null, detail: "" };
  const { restarts, since, detail } = state;
  const ended = { pid: null, restarts, since: null };
  // A record of an older dp has only the text.
  const how = state.ended ? { detail, ended: state.ended } : { detail };
  if (state.state === "stopped" || state.state === "failed") return { ...ended, state: state.state, ...how };
  if (state.boot !== bootId()) return { ...ended, state: "stopped", detail: "" };
  const isSupervised = isRunning(state, state.supervisor);
  if (isUp) {
    const orphan = isSupervised ? { detail: "" } : { detail: ORPHAN, isOrphan: true };
    return { state: "running", pid: state.main?.pid ?? null, restarts, since, ...orphan };
  }
  return isSupervised
    ? { ...ended, state: "waiting", ...how }
    : { ...ended, state: "failed", detail: "its supervisor was killed" };
}

async function states(app: string, files: readonly string[]): Promise<Map<string, InstanceStatus>> {
  const ids = files.flatMap((name) => (name.endsWith(SPEC) ? [name.slice(0, -SPEC.length)] : [])).filter(isInstanceId);
  const found = await Promise.all(ids.map(async (id) => [id, await status({ app, id })] as const));
  return new Map(found.filter(([, { state }]) => state !== "stopped"));
}

async function instances(app: string): Promise<string[]> {
  return [...(await states(app, await namesIn(places(app).instances))).keys()].sort(compareInstances);
}

/** The file that names the instances to start at boot, one per line. */
export const enabledFile = (app: string) => join(places(app).instances, "enabled");

const enabled = async (app: string) => ((await readText(enabledFile(app))) ?? "").split("\n").filter(Boolean);

async function enable(app: string, ids: readonly string[]): Promise<boolean> {
  const file = enabledFile(app);
  if (ids.length === 0) return removeFile(file);
  const text = ids.map((id) => `${id}\n`).join("");
  if ((await readText(file)) === text) return false;
  await mkdir(places(app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(file, text, 0o600);
  return true;
}

/** The manager; `restartDelay` is the delay before the first restart, in ms. */
export function makeBuiltin(restartDelay = 1_000): Manager {
  return {
    name: "builtin",
    summary: "dp's own supervisor, for machines without systemd",
    unavailable: async () => (process.platform === "linux" ? null : "the builtin manager needs Linux"),
    setup: async () => [],
    start: (instance, io) => start(instance, io, restartDelay),
    prepare,
    expectMany,
    settle: guardAll,
    stop,
    status,
    adopt,
    pids,
    instances,
    states,
    enable,
    logs,
    enabled,
    async forget(name) {
      const files = filesOf(name);
      for (const file of [files.spec, files.script, files.state]) await removeFile(file);
    },
  };
}

export default makeBuiltin();
