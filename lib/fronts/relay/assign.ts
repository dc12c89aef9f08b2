// Which release gets a request: picked when its head is read, and again as long as nothing of it was sent.
import { enter } from "./app.ts";
import { ACTIVE, CLOSED, type Client, TUNNEL, type Upstream } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { leaveUpstream, refuse, settle, steer } from "./ending.ts";
import { feed } from "./exchange.ts";
import { CONNECT_PAUSE, CONNECT_TIME, REUSE_TIME } from "./limits.ts";
import { send } from "./outlet.ts";
import { connect } from "./upstream.ts";

/** Picks the release, in the same turn in which the request is counted on it, and sends what there is. */
export function assign(client: Client): void {
  const { app } = client;
  client.retry = null;
  if (app.hold !== null) {
    // An idle connection that it still has belongs to the app that is going away; a body must not go there.
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
  let { upstream } = client;
  if (upstream !== null && isFresh(upstream) && upstream.target === target) {
    upstream.isReused = true;
    upstream.hasAnswered = false;
    client.replay = client.isIdempotent ? [...unsent] : null;
    client.replaySize = 0;
  } else {
    if (upstream !== null) leaveUpstream(client, false);
    client.replay = null;
    upstream = client.upstream = connect(client, target);
  }
  for (const buffer of unsent) send(upstream, buffer, 0, buffer.length);
}

const isFresh = (upstream: Upstream) => performance.now() - upstream.idleSince <= REUSE_TIME;

/** Assigns a request that waited, and sends what came of its body meanwhile. */
export function assignAgain(client: Client): void {
  client.app.waiting.delete(client);
  assign(client);
  const { pending } = client;
  if (client.upstream === null || client.phase === CLOSED) return;
  client.pending = null;
  if (pending !== null && client.phase === TUNNEL) send(client.upstream, pending, 0, pending.length);
  else if (pending !== null && client.phase === ACTIVE) feed(client, pending, 0);
  steer(client);
}

/** The connection to the app was refused: nothing was sent, so it is tried again, maybe on another release. */
export function refused(client: Client, upstream: Upstream): void {
  const { port } = upstream.target;
  client.unsent = upstream.queue;
  client.upstream = upstream.client = null;
  settle(client);
  client.refusedAt ||= performance.now();
  if (performance.now() - client.refusedAt > CONNECT_TIME)
    return refuse(client, 503, `nothing listens on its port ${port}`);
  steer(client);
  client.retry = setTimeout(assignAgain, CONNECT_PAUSE, client);
}
