// What the builtin manager and its supervisors share: the files of an instance, and which processes belong to it.
import { DpError } from "../../errors.ts";
import { overwrite, ownText, writeFileAtomic, writeFileUntilBoot } from "../files.ts";
import { places, root } from "../../paths.ts";
import { isInstanceId } from "../../text/ids.ts";
import { allPids } from "../process/proc.ts";
import { argumentsOf, bootId, descendants, hasEnvironment, isAlive, processTable, userOf } from "../process/process.ts";
import type { InstanceName, InstanceStatus } from "../instance.ts";
import type { Ended } from "../process/ending.ts";

/** Identifies a process for good: a pid alone may belong to another process by now. */
export interface Identity {
  pid: number;
  /** Clock ticks since boot. */
  startTime: number;
}

/** `instances/ID.json`: everything that a supervisor needs to know. */
export interface Spec extends InstanceName {
  /** The working folder. */
  folder: string;
  /** The start script, run by /bin/sh. */
  script: string;
  env: Record<string, string>;
  user: string | null;
  /** The user that the instance's processes run as. */
  uid: number;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** Milliseconds until the first restart, doubled for each further one; null: it runs once, until it exits. */
  restartDelay: number | null;
  log: string;
  state: string;
  /** The boot of the machine in which it was written, and the supervisor started; undefined: by an older dp. */
  boot?: string;
}

/** `instances/ID.state.json`: the last state that the supervisor recorded. */
export interface State extends Omit<InstanceStatus, "pid" | "ended"> {
  /** How the last main process ended; null: not known. */
  ended: Ended | null;
  boot: string;
  supervisor: Identity;
  main: Identity | null;
  /** The inode of its output pipe. */
  output: number | null;
  /** False: no process could be started at all. */
  hasRun: boolean;
  /** Why the last main process could not be started. */
  refusal: string | null;
}

/** The files that the builtin manager keeps for an instance. Throws DpError "usage" for a bad name. */
export function filesOf({ app, id }: InstanceName) {
  if (!isInstanceId(id))
    throw new DpError("usage", `${JSON.stringify(id)} is not the name of an instance, such as 42-3f9c2ab`);
  const { instances, logs } = places(app);
  const stem = `${instances}/${id}`;
  return { spec: `${stem}.json`, script: `${stem}.sh`, state: `${stem}.state.json`, log: `${logs}/${id}.app.log` };
}

/** Reads one of dp's own records; null when it is missing or damaged. The processes themselves are the truth then. */
export async function readRecord<T extends Spec | State>(path: string): Promise<T | null> {
  const text = ownText(path);
  try {
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

const textOf = (value: Spec | State) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Writes a spec, readable by dp alone: it contains the environment. After the next boot it is of no use; `isStale`: what is
 * there is of none any more.
 */
export async function keepSpec(path: string, spec: Spec, isStale = false): Promise<void> {
  if (!isStale || !overwrite(path, textOf(spec))) await writeFileUntilBoot(path, textOf(spec), 0o600);
}

/** Writes a state. How an instance ended outlives a power cut; that it runs is of no use after the next boot. */
export async function keepState(path: string, state: State): Promise<void> {
  const hasEnded = state.state === "failed" || state.state === "stopped";
  await (hasEnded ? writeFileAtomic : writeFileUntilBoot)(path, textOf(state), 0o600);
}

/** The user that dp runs as. */
export const ownUser = () => process.getuid?.() ?? 0;

/**
 * The environment entry that marks a process of the instance, wherever it moved. It includes DP_ROOT: two servers in
 * folders must not be confused.
 */
export const markerOf = ({ app, id }: InstanceName) => `${app}@${id}${root() && `:${root()}`}`;

/** Whether exactly this process is still running, in this boot of the machine. */
export function isRunning(state: State, identity: Identity | null): boolean {
  return identity !== null && state.boot === bootId() && isAlive(identity.pid, identity.startTime);
}

/**
 * Every process of an instance: the session of its main process, every process with its DP_INSTANCE, and all their
 * descendants. Only processes of the instance's own user count: another app could claim the name.
 */
export function processesOf(name: InstanceName, uid: number, main: Identity | null, marker = markerOf(name)): number[] {
  const table = processTable();
  const leader = table.find((entry) => entry.pid === main?.pid);
  // The pid has been reused, so the session with that number belongs to another process.
  const session = leader && leader.startTime !== main?.startTime ? undefined : main?.pid;
  const roots = table.filter(({ pid, session: own }) => {
    const user = userOf(pid);
    if (user !== uid && user !== 0) return false;
    return own === session || hasEnvironment(pid, `DP_INSTANCE=${marker}`);
  });
  const pids = roots.map((entry) => entry.pid);
  return descendants(pids, table).filter((pid) => pid !== process.pid);
}

/** The supervisors of an instance, whoever started them: a starter that died early has recorded none. */
export function supervisorsOf(spec: string): number[] {
  return allPids().filter((pid) => {
    const argv = argumentsOf(pid);
    return argv.at(-1) === spec && /\/supervisor\.[tj]s$/.test(argv.at(-2) ?? "") && userOf(pid) === ownUser();
  });
}
