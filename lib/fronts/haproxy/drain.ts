// Waits until a release has no in-flight requests in HAProxy, and cuts off the rest.
import type { Drained } from "../../contracts/front.ts";
import type { Io } from "../../host/io.ts";
import { inFlight, type InFlight } from "./counts.ts";
import { serverOf, type KeptRoute } from "./routes.ts";
import { tellAll } from "./runtime.ts";

/** The longest pause between two checks, in ms. */
const PAUSE = 50;
/** How long cut connections may take to close, in ms. */
const CUT = 2_000;
const NOTHING: InFlight = { requests: 0, tunnels: 0 };

/** Waits until no request is in flight in a slot, at most `timeout` ms, then closes the remaining connections. */
export async function drainSlot(route: KeptRoute, slot: number, timeout: number, io: Io): Promise<Drained> {
  const server = serverOf(slot);
  const end = performance.now() + timeout;
  const look = async () => (await inFlight(route)).get(server) ?? NOTHING;
  let left = await look();
  for (let pause = 5; left.requests > 0 && performance.now() < end; pause = Math.min(pause * 1.5, PAUSE)) {
    await io.sleep(Math.min(pause, Math.max(0, end - performance.now())));
    left = await look();
  }
  if (left.requests + left.tunnels > 0) await cut(route, server, look);
  return { requests: left.requests, tunnelsClosed: left.tunnels };
}

async function cut(route: KeptRoute, server: string, look: () => Promise<InFlight>): Promise<void> {
  const end = performance.now() + CUT;
  for (;;) {
    await tellAll([`shutdown sessions server dp-${route.app}/${server}`]);
    const { requests, tunnels } = await look();
    if (requests + tunnels === 0 || performance.now() > end) return;
    await Bun.sleep(10);
  }
}
