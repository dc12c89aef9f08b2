// Waits until a release has nothing in flight, so that it can be stopped.
import type { Drained } from "../../contracts/front.ts";
import { underWay } from "./app.ts";
import { TUNNEL } from "./client-connection.ts";
import { abort, cut } from "./ending.ts";
import { TUNNEL_GRACE } from "./limits.ts";
import { end } from "./outlet.ts";
import type { App, Client } from "./types.ts";

/** Waits for the requests on a release, closes its tunnels, and cuts off the rest after `timeout` ms. */
export async function drainRelease(app: App, id: string, timeout: number): Promise<Drained> {
  const until = performance.now() + timeout;
  await settled(app, id, () => underWay(app, id).requests === 0, timeout);
  const left = clientsOf(app, id).filter((client) => client.kind === "requests");
  for (const client of left) cut(client);
  const tunnels = clientsOf(app, id);
  for (const client of tunnels) closeTunnel(client);
  const grace = Math.min(TUNNEL_GRACE, Math.max(0, until - performance.now()));
  await settled(app, id, () => underWay(app, id).tunnels === 0, grace);
  for (const client of clientsOf(app, id)) abort(client);
  return { requests: left.length, tunnelsClosed: tunnels.length };
}

const clientsOf = (app: App, id: string): Client[] => [...app.clients].filter((client) => client.target?.id === id);

/** Closes a tunnel gracefully: a FIN to both sides after their queued bytes. */
export function closeTunnel(client: Client): void {
  if (client.phase !== TUNNEL) return;
  if (client.upstream !== null) end(client.upstream);
  end(client);
}

function settled(app: App, id: string, isSettled: () => boolean, timeout: number): Promise<void> {
  if (isSettled()) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      app.watchers.delete(watch);
      resolve();
    };
    const watch = (changed: string) => {
      if (changed === id && isSettled()) finish();
    };
    const timer = setTimeout(finish, timeout);
    app.watchers.add(watch);
  });
}
