// One supervisor of many instances, as after a boot: a process for each would take longer to start than its app.
import { closeSync, fstatSync, openSync, readFileSync, statSync, utimesSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { guard } from "./guard.ts";
import type { Spec } from "./supervision.ts";

/** Supervises one instance until it fails for good or `stop` resolves. Never throws. */
export type Supervise = (spec: Spec, stop: Promise<void>) => Promise<void>;

/** What it is told of an instance, one JSON line each. */
export interface Order {
  /** The path of the spec. */
  spec: string;
  /** Its inode and time in ms: a spec that was written anew is another supervisor's, and one may be withdrawn. */
  inode: number;
  time: number;
}

/** Supervises the instances that are named on stdin, until all have ended or `stop` resolves. */
export async function superviseMany(supervise: Supervise, stop: Promise<void>): Promise<void> {
  const all: Promise<void>[] = [];
  for await (const order of orders()) all.push(superviseOne(order, supervise, stop));
  await Promise.all(all);
}

/** The orders on stdin, each a whole line. */
async function* orders(): AsyncGenerator<Order> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as Order;
  }
}

async function superviseOne(order: Order, supervise: Supervise, stop: Promise<void>): Promise<void> {
  const own = guard(order.spec);
  try {
    // From here on it can be stopped, and a kill of this process is survived.
    await own.ready;
    const spec = specOf(order);
    if (spec !== null) await supervise(spec, Promise.race([stop, own.asked]));
  } finally {
    own.dismiss();
  }
}

/** The order to supervise a spec as it is now. */
export function orderOf(spec: string): Order {
  const { ino, mtimeMs } = statSync(spec);
  return { spec, inode: ino, time: mtimeMs };
}

/** Withdraws the orders of a spec that nobody has begun. It takes no room on the disk, and the spec stays. */
export function withdraw(spec: string): void {
  try {
    utimesSync(spec, 0, 0);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** The ordered spec; null: it has been removed, replaced or withdrawn since. */
function specOf({ spec, inode, time }: Order): Spec | null {
  let file: number | undefined;
  try {
    file = openSync(spec, "r");
    const { ino, mtimeMs } = fstatSync(file);
    return ino === inode && mtimeMs === time ? (JSON.parse(readFileSync(file, "utf8")) as Spec) : null;
  } catch {
    return null;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
