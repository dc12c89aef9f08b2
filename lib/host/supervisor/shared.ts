// Starts supervisors of many instances, and gives them instances.
import { closeSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { variables } from "../compilers.ts";
import { pipes } from "../process/libc.ts";
import { readProc } from "../process/proc.ts";
import { plainEnv } from "../run.ts";
import { within } from "../within.ts";
import { sharedSupervisor } from "../self.ts";
import { GUARD_ALL, orderOf, type Order } from "./order.ts";
import { hasEnded, type Starting } from "./starter.ts";
import { supervisorsOf } from "./supervision.ts";

/** The most instances of one supervisor, how many open files it has for each (measured), and for itself at most. */
const [MOST, FILES, OWN_FILES] = [100, 8, 64];

/** How long is waited for guards, in ms: there may be no room for a process, or the supervisor hangs. */
const LONGEST = 5_000;

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
  /** The write end of the pipe on which it is told of instances. */
  orders: number;
  /** The read end of the pipe on which it says that those begun ahead have guards. */
  answers: number;
  /** How many instances it was given, and how many it may be given. */
  given: number;
  most: number;
  /** Whether instances are begun ahead that have no guards yet. */
  hasUnguarded: boolean;
  /** When it was asked to guard them: resolves when it has; false: it was killed before. */
  guarded: Promise<boolean> | null;
}

let isSharing = false;
let shared: Shared | null = null;
/** All that this process has started. */
const all: Shared[] = [];

/** From now on `share` gives instances to a supervisor of many. */
export function shareSupervisors(): void {
  isSharing = true;
}

const isFree = (each: Shared | null) => each !== null && !hasEnded(each.child) && each.given < each.most;

/** Whether there is a supervisor of many that this process may give instances. */
export const isShared = (): boolean => isFree(shared);

/** Starts the supervisor of many before there is an instance for it. It exits with this process when none was given. */
export function prepareShared(): void {
  if (isShared()) return;
  if (shared !== null) closeSync(shared.orders);
  shared = null;
  shared = beginShared();
  all.push(shared);
}

/**
 * Gives an instance to a supervisor of many; null: it should have one of its own. With `isAhead` it is begun at once, and
 * is the caller's to look after until `guardAll` has been called.
 */
export function share(spec: string, isAhead: boolean): Starting | null {
  if (!isSharing) return null;
  prepareShared();
  const { child, name } = shared!;
  shared!.given++;
  // Those that are begun after it was asked have guards first.
  const order: Order = { ...orderOf(spec), ...(isAhead && shared!.guarded === null && { isAhead }) };
  if (!tell(shared!, JSON.stringify(order))) return null;
  shared!.hasUnguarded ||= order.isAhead === true;
  // When it is killed, the guard of the instance starts another supervisor, unless there was no guard yet. A child that has
  // not become another program has the arguments of its parent.
  const isGone = () => hasEnded(child) && [name, spec].every((last) => supervisorsOf(last).length === 0);
  return { isGone, isShared: true };
}

/** Returns whether it was there to be told. */
function tell({ orders }: Shared, line: string): boolean {
  try {
    writeSync(orders, `${line}\n`);
    return true;
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return false; // it was killed
  }
}

/**
 * Has all instances guarded that were begun ahead. Returns whether they are: when false, a supervisor of many was killed
 * before, or there is no room for guards, and what it had may be to be adopted.
 */
export async function guardAll(): Promise<boolean> {
  const asked = all.filter((each) => each.hasUnguarded).map((each) => (each.guarded ??= guarded(each)));
  return !(await Promise.all(asked)).includes(false);
}

async function guarded(each: Shared): Promise<boolean> {
  // That it is given no more tells it the same.
  if (each === shared) tell(each, GUARD_ALL);
  const reader = Bun.file(each.answers).stream().getReader();
  try {
    return (await within(LONGEST, reader.read()))?.done === false;
  } finally {
    await reader.cancel();
    closeSync(each.answers);
  }
}

/** How many supervisors of many this process has started. */
let begun = 0;

function beginShared(): Shared {
  const [[read, orders], [answers, answer]] = pipes();
  try {
    const name = `${process.pid}.${begun++}`;
    const argv = sharedSupervisor(name);
    const stdio = [read, answer, "ignore"] as const;
    const child = Bun.spawn(argv, {
      cwd: "/",
      env: { ...plainEnv(), ...variables() },
      stdio: [...stdio],
      detached: true,
    });
    child.unref();
    const most = mostInstances(readProc("self/limits") ?? "");
    return { child, name: argv.at(-1)!, orders, answers, given: 0, most, hasUnguarded: false, guarded: null };
  } catch (error) {
    for (const fd of [orders, answers]) closeSync(fd);
    throw error;
  } finally {
    for (const fd of [read, answer]) closeSync(fd);
  }
}
