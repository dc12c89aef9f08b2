// One supervisor of many instances, as after a boot: a process for each would take longer to start than its app.
import { writeSync } from "node:fs";
import { guard, type Guard } from "./guard.ts";
import { GUARD_ALL, specOf, type Order } from "./order.ts";
import type { Spec } from "./supervision.ts";

/**
 * Supervises one instance until `stop` resolves, or its app has ended and it is left to its guard. Never throws.
 * `isWithdrawn` tells, once it has begun, whether it must not have been.
 */
export type Supervise = (spec: Spec, stop: Promise<void>, own: Guard, isWithdrawn: () => boolean) => Promise<void>;

/** Milliseconds after SIGTERM in which the guards are asked, too, if the machine is shut down. */
const GRACE = 1_000;
/** By default in ms: dp asks within one second, unless it hangs. */
const LATEST = 2_000;
const STDOUT = 1;

/**
 * Supervises the instances that are named on stdin, until all have ended or `stop` resolves. Then those whose guards are
 * asked to stop are stopped, and nothing happens to the others: their guards start other supervisors when this one is gone.
 * `latest`: ms until instances that were begun ahead get guards, although nobody has asked for them.
 */
export async function superviseMany(supervise: Supervise, stop: Promise<void>, latest = LATEST): Promise<void> {
  const all: Promise<void>[] = [];
  const asked = new Set<Promise<void>>();
  const ahead = unguarded(latest);
  let isStopping = false;
  const begin = (order: Order) => {
    const own = guard(order, all.length, order.isAhead ? ahead.wanted : Promise.resolve());
    const ended = superviseOne(order, supervise, own);
    all.push(ended);
    if (order.isAhead) ahead.add(own, ended);
    void own.asked.then(() => asked.add(ended));
  };
  const supervised = async () => {
    for await (const line of lines()) {
      if (line === GUARD_ALL) void ahead.guard();
      else if (!isStopping) begin(JSON.parse(line) as Order);
    }
    void ahead.guard();
    await Promise.all(all);
  };
  const stopped = async () => {
    await stop;
    isStopping = true;
    void ahead.guard();
    await Bun.sleep(GRACE);
    await Promise.all(asked);
  };
  await Promise.race([supervised(), stopped()]);
}

/** The instances that were begun ahead: their guards come when nobody waits for a processor any more, or soon. */
function unguarded(latest: number) {
  const wanted = Promise.withResolvers<void>();
  const guarded: Promise<void>[] = [];
  return {
    wanted: wanted.promise,
    add(own: Guard, ended: Promise<void>): void {
      if (guarded.length === 0) void Bun.sleep(latest).then(wanted.resolve);
      guarded.push(Promise.race([own.ready, ended]));
    },
    /** Says so when each has a guard, or has ended. */
    async guard(): Promise<void> {
      wanted.resolve();
      await Promise.all(guarded);
      answer();
    },
  };
}

function answer(): void {
  try {
    writeSync(STDOUT, "\n");
  } catch {
    // whoever has asked is gone
  }
}

/** The whole lines on stdin. */
async function* lines(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of Bun.stdin.stream()) {
    const all = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = all.pop()!;
    yield* all;
  }
}

async function superviseOne(order: Order, supervise: Supervise, own: Guard): Promise<void> {
  try {
    // From here on it can be stopped, and a kill of this process is survived.
    if (!order.isAhead) await own.ready;
    const spec = specOf(order);
    if (spec === null) return;
    // Without a guard there was nobody to ask when it was withdrawn after the last look.
    await supervise(spec, own.asked, own, () => order.isAhead === true && specOf(order) === null);
  } finally {
    own.dismiss();
  }
}
