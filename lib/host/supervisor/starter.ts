// Starts supervisors: at once, or ahead of time so that they are ready when needed, or one for many instances.
import { closeSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { pipe } from "../process/libc.ts";
import { readProc } from "../process/proc.ts";
import { plainEnv } from "../run.ts";
import { sharedSupervisor, supervisor } from "../self.ts";
import { orderOf } from "./order.ts";
import { supervisorsOf } from "./supervision.ts";

/** The supervisor that an instance was given. */
export interface Starting {
  /** Whether the instance has no supervisor any more, nor a guard that will start one. */
  isGone(): boolean;
  /** Whether the supervisor has others, too. */
  isShared: boolean;
}

const hasEnded = (child: Bun.Subprocess) => child.exitCode !== null || child.signalCode !== null;

/** Starts a supervisor. With `gate` it waits until it can read a byte there, and exits when the pipe is closed. */
function spawn(spec: string, gate?: number): Bun.Subprocess {
  const env = { ...plainEnv(), ...(gate === undefined ? {} : { DP_GATE: "3" }) };
  const stdio = ["ignore", "ignore", "ignore", ...(gate === undefined ? [] : [gate])] as const;
  const child = Bun.spawn([...supervisor(), spec], { cwd: "/", env, stdio: [...stdio], detached: true });
  child.unref();
  return child;
}

const startingOf = (child: Bun.Subprocess): Starting => ({ isGone: () => hasEnded(child), isShared: false });

/** Starts the supervisor of a spec. */
export const spawnSupervisor = (spec: string): Starting => startingOf(spawn(spec));

/** Supervisors that are waiting, by their specs, each with the write end of the pipe that holds it back. */
const waiting = new Map<string, { child: Bun.Subprocess; gate: number }>();

/** Starts the supervisor of a spec that is not written yet. It exits with this process unless `sendOff` was called. */
export function prepare(spec: string): void {
  if (waiting.has(spec)) return;
  const [read, gate] = pipe();
  try {
    waiting.set(spec, { child: spawn(spec, read), gate });
  } finally {
    closeSync(read);
  }
}

/** Releases the waiting supervisor of a spec; null: there is none, or it has exited. */
export function sendOff(spec: string): Starting | null {
  const found = waiting.get(spec);
  if (found === undefined) return null;
  waiting.delete(spec);
  try {
    writeSync(found.gate, "\n");
    return hasEnded(found.child) ? null : startingOf(found.child);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return null;
  } finally {
    closeSync(found.gate);
  }
}

/** The most instances of one supervisor, how many open files it has for each (measured), and for itself at most. */
const [MOST, FILES, OWN_FILES] = [100, 8, 64];

/** The most instances of a supervisor with the limits of `/proc/PID/limits`. */
export function mostInstances(limits: string): number {
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  return Math.max(1, Math.min(MOST, Math.floor((files - OWN_FILES) / FILES)));
}

/** A supervisor of many instances, which goes on when this process has ended. */
interface Shared {
  child: Bun.Subprocess;
  /** The last argument of the process. */
  name: string;
  orders: number;
  /** How many instances it was given, and how many it may be given. */
  given: number;
  most: number;
}

let isSharing = false;
let shared: Shared | null = null;

/** From now on `share` gives instances to a supervisor of many. */
export function shareSupervisors(): void {
  isSharing = true;
}

/** Whether there is a supervisor of many that this process may give instances. */
export const isShared = (): boolean => shared !== null && !hasEnded(shared.child) && shared.given < shared.most;

/** Starts the supervisor of many before there is an instance for it. It exits with this process when none was given. */
export function prepareShared(): void {
  if (isShared()) return;
  if (shared !== null) closeSync(shared.orders);
  shared = null;
  shared = beginShared();
}

/** Gives an instance to a supervisor of many; null: it should have one of its own. */
export function share(spec: string): Starting | null {
  if (!isSharing) return null;
  prepareShared();
  const { child, name, orders } = shared!;
  shared!.given++;
  try {
    writeSync(orders, `${JSON.stringify(orderOf(spec))}\n`);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return null; // it was killed
  }
  // When it is killed, the guard of the instance starts another supervisor, unless there was no guard yet. A child that has
  // not become another program has the arguments of its parent.
  const isGone = () => hasEnded(child) && [name, spec].every((last) => supervisorsOf(last).length === 0);
  return { isGone, isShared: true };
}

/** How many supervisors of many this process has started. */
let begun = 0;

function beginShared(): Shared {
  const [read, orders] = pipe();
  try {
    const name = `${process.pid}.${begun++}`;
    const argv = sharedSupervisor(name);
    const stdio = [read, "ignore", "ignore"] as const;
    const child = Bun.spawn(argv, { cwd: "/", env: plainEnv(), stdio: [...stdio], detached: true });
    child.unref();
    return { child, name: argv.at(-1)!, orders, given: 0, most: mostInstances(readProc("self/limits") ?? "") };
  } catch (error) {
    closeSync(orders);
    throw error;
  } finally {
    closeSync(read);
  }
}
