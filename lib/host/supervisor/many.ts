// One supervisor of many instances, as after a boot: a process for each would take longer to start than its app.
import { guard, type Guard } from "./guard.ts";
import { specOf, type Order } from "./order.ts";
import type { Spec } from "./supervision.ts";

/** Supervises one instance until `stop` resolves, or its app has ended and it is left to its guard. Never throws. */
export type Supervise = (spec: Spec, stop: Promise<void>, own: Guard) => Promise<void>;

/** Milliseconds after SIGTERM in which the guards are asked, too, if the machine is shut down. */
const GRACE = 1_000;

/**
 * Supervises the instances that are named on stdin, until all have ended or `stop` resolves. Then those whose guards are
 * asked to stop are stopped, and nothing happens to the others: their guards start other supervisors when this one is gone.
 */
export async function superviseMany(supervise: Supervise, stop: Promise<void>): Promise<void> {
  const all: Promise<void>[] = [];
  const asked = new Set<Promise<void>>();
  let isStopping = false;
  const supervised = async () => {
    for await (const order of orders()) {
      if (isStopping) continue;
      const own = guard(order, all.length);
      const ended = superviseOne(order, supervise, own);
      all.push(ended);
      void own.asked.then(() => asked.add(ended));
    }
    await Promise.all(all);
  };
  const stopped = async () => {
    await stop;
    isStopping = true;
    await Bun.sleep(GRACE);
    await Promise.all(asked);
  };
  await Promise.race([supervised(), stopped()]);
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

async function superviseOne(order: Order, supervise: Supervise, own: Guard): Promise<void> {
  try {
    // From here on it can be stopped, and a kill of this process is survived.
    await own.ready;
    const spec = specOf(order);
    if (spec !== null) await supervise(spec, own.asked, own);
  } finally {
    own.dismiss();
  }
}
