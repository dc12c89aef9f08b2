// Assigns a release to a request: when its head is read, and again as long as nothing has been sent to the app.
import { enter } from "./app.ts";
import { clock } from "./clock.ts";
import { leaveUpstream, refuse, steer } from "./ending.ts";
import { REUSE_TIME } from "./limits.ts";
import { send } from "./outlet.ts";
import type { Client, Upstream } from "./types.ts";

/** Picks the release, counts the request on it in the same turn of the event loop, and sends what is available. */
export function assign(client: Client): void {
  const { app } = client;
  client.retry = null;
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
  let { upstream } = client;
  if (upstream !== null && isFresh(upstream) && upstream.target === target) {
    upstream.isReused = true;
    upstream.hasAnswered = false;
    client.replay = client.isIdempotent ? [...unsent] : null;
    client.replaySize = 0;
  } else {
    if (upstream !== null) leaveUpstream(client, false);
    client.replay = null;
    upstream = client.connect(client, target);
    client.upstream = upstream;
  }
  for (const buffer of unsent) send(upstream, buffer, 0, buffer.length);
}

const isFresh = (upstream: Upstream) => performance.now() - upstream.idleSince <= REUSE_TIME;
