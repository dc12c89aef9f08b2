// Assigns a release to a request: when its head is read, and again as long as nothing has been sent to the app.
import { enter } from "./app.ts";
import { clock } from "./clock.ts";
import { leaveUpstream, refuse, steer } from "./ending.ts";
import type { Target } from "../../contracts/front.ts";
import { isFresh, makeWay, takePooled } from "./pool.ts";
import { send, sendTogether } from "./outlet.ts";
import type { Client, Upstream } from "./types.ts";

/**
 * Picks the release, counts the request on it in the same turn of the event loop, and sends what is available.
 * `isAgain`: it was lost on a connection that was used before, and gets one of its own.
 */
export function assign(client: Client, isAgain = false): void {
  const { app } = client;
  if (app.hold !== null) {
    // The client's idle connection belongs to a release that is going away; a body must not go there.
    leaveUpstream(client, false);
    client.since = clock.now;
    app.waiting.add(client);
    return steer(client);
  }
  const target = app.route.target;
  if (target === null) return refuse(client, 503, "it has no release that could answer");
  client.target = target;
  enter(app, target.id, client.kind);
  const { unsent } = client;
  client.unsent = [];
  const used = isAgain ? null : usedFor(client, target);
  client.replay = used !== null && client.isIdempotent ? [...unsent] : null;
  client.replaySize = 0;
  const upstream = (client.upstream = used ?? newFor(client, target));
  upstream.isShared &&= client.isShared;
  const [head] = unsent;
  if (head !== undefined && unsent.length === 1 && client.body.isDone) sendTogether(upstream, head, 0, head.length);
  else for (const buffer of unsent) send(upstream, buffer, 0, buffer.length);
}

/** A connection that has carried a request before: the client's own, or one of the pool. */
function usedFor(client: Client, target: Target): Upstream | null {
  let { upstream } = client;
  if (upstream !== null && !(isFresh(upstream) && upstream.target === target)) {
    leaveUpstream(client, false);
    upstream = null;
  }
  if (upstream === null && client.isShared) upstream = takePooled(client.app, target);
  if (upstream === null) return null;
  upstream.client = client;
  upstream.isReused = true;
  upstream.hasAnswered = false;
  return upstream;
}

function newFor(client: Client, target: Target): Upstream {
  makeWay(client.app);
  return client.connect(client, target);
}
