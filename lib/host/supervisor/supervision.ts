// What the builtin manager and its supervisors share: the files of an instance, and which processes belong to it.
import { DpError } from "../../errors.ts";
import { readText, writeFileAtomic } from "../files.ts";
import { isInstanceId, places, root } from "../../paths.ts";
import { allPids } from "../process/proc.ts";
import { argumentsOf, bootId, descendants, hasEnvironment, isAlive, processTable, userOf } from "../process/process.ts";
import type { InstanceName, InstanceStatus } from "../instance.ts";
import type { Ended } from "../process/ending.ts";

/** A process for good: a number alone may be another process by now. */
export interface Identity {
  pid: number;
  /** Clock ticks since boot. */
  startTime: number;
}

/** `instances/ID.json`: all that a supervisor needs to know. */
export interface Spec extends InstanceName {
  /** Where it starts. */
  folder: string;
  /** The start script, run by /bin/sh. */
  script: string;
  env: Record<string, string>;
  user: string | null;
  /** The user that the instance's processes run as. */
  uid: number;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** Milliseconds until the first restart, each further one takes twice as long; null: it runs once, to its end. */
  restartDelay: number | null;
  log: string;
  state: string;
}

/** `instances/ID.state.json`: what its supervisor last knew. */
export interface State extends Omit<InstanceStatus, "pid" | "ended"> {
  /** How the last one ended; null: not known. */
  ended: Ended | null;
  boot: string;
  supervisor: Identity;
  main: Identity | null;
  /** The inode of the pipe that it prints into. */
  output: number | null;
  /** False: no process could be started at all. */
  hasRun: boolean;
  /** Why the last one could not be started. */
  refusal: string | null;
}

/** The files that the builtin manager keeps of an instance. Throws DpError "usage" for a bad name. */
export function filesOf({ app, id }: InstanceName) {
  if (!isInstanceId(id))
    throw new DpError("usage", `${JSON.stringify(id)} is not the name of an instance, such as 42-3f9c2ab`);
  const { instances, logs } = places(app);
  const stem = `${instances}/${id}`;
  return { spec: `${stem}.json`, script: `${stem}.sh`, state: `${stem}.state.json`, log: `${logs}/${id}.app.log` };
}

/** What a file of ours says; null when it is missing or damaged, for then the processes themselves are asked. */
export async function readRecord<T extends Spec | State>(path: string): Promise<T | null> {
  const text = await readText(path);
  try {
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

/** Writes a spec or a state, for dp alone: the environment is in it. */
export async function writeRecord(path: string, value: Spec | State): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, 0o600);
}

/** The user that dp runs as. */
export const ownUser = () => process.getuid?.() ?? 0;

/** The entry by which a process of the instance is known, wherever it went: two servers in folders must not meet. */
export const markerOf = ({ app, id }: InstanceName) => `${app}@${id}${root() && `:${root()}`}`;

/** Whether that very process still runs, in this boot of the machine. */
export function isRunning(state: State, identity: Identity | null): boolean {
  return identity !== null && state.boot === bootId() && isAlive(identity.pid, identity.startTime);
}

/**
 * Every process of an instance: the session of its main process, whoever carries its DP_INSTANCE, and all below them.
 * Only processes of its own user count: another app could claim the name.
 */
export function processesOf(name: InstanceName, uid: number, main: Identity | null, marker = markerOf(name)): number[] {
  const table = processTable();
  const leader = table.find((entry) => entry.pid === main?.pid);
  // The number belongs to somebody else now, and so does the session of that number.
  const session = leader && leader.startTime !== main?.startTime ? undefined : main?.pid;
  const roots = table.filter(({ pid, session: own }) => {
    const user = userOf(pid);
    if (user !== uid && user !== 0) return false;
    return own === session || hasEnvironment(pid, `DP_INSTANCE=${marker}`);
  });
  const pids = roots.map((entry) => entry.pid);
  return descendants(pids, table).filter((pid) => pid !== process.pid);
}

/** The supervisors of an instance, wherever they come from: a starter that died early has recorded none. */
export function supervisorsOf(spec: string): number[] {
  return allPids().filter((pid) => {
    const argv = argumentsOf(pid);
    return argv.at(-1) === spec && /\/supervisor\.[tj]s$/.test(argv.at(-2) ?? "") && userOf(pid) === ownUser();
  });
}
