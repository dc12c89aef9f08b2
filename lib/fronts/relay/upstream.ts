// Connections to apps: opens them and handles their events.
import type { Target } from "../../contracts/front.ts";
import { limitUnread } from "../../host/process/socket-buffers.ts";
import { takeAnswer, upstreamGone } from "./answer.ts";
import { ACTIVE, TUNNEL, setPaused } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { feedOn, refused } from "./exchange.ts";
import { leaveUpstream, refuse, steer } from "./ending.ts";
import { UNREAD, LEAVING, LINGER_TIME } from "./limits.ts";
import { isCountDue, limitMemory, spareBuffers } from "./memory.ts";
import { logTheft } from "./log.ts";
import { drop, end, fdOf, flush, isEmpty, send, unused } from "./outlet.ts";
import { NOBODY, OWN, ownerAt } from "./owner.ts";
import { discard, unpool } from "./pool.ts";
import type { App, Client, Upstream } from "./types.ts";

const handlers: Bun.SocketHandler<Upstream> = {
  open(socket) {
    const upstream = socket.data;
    if (!isOwn(upstream, socket)) return void socket.terminate();
    upstream.socket = socket;
    upstream.checkedAt = performance.now();
    if (upstream.client === null) return drop(upstream, false);
    limitUnread(fdOf(socket), UNREAD);
    spareBuffers(upstream.client);
    upstream.client.refusedAt = 0;
    flush(upstream);
    steer(upstream.client);
  },
  connectError(socket) {
    const upstream = socket.data;
    const tell = () => void (upstream.client !== null && refused(upstream.client, upstream));
    // A connection for which there is no descriptor or port fails before its client has it.
    if (upstream.client?.upstream === upstream) tell();
    else queueMicrotask(tell);
  },
  data(socket, chunk) {
    take(socket.data, chunk);
    if (isCountDue()) limitMemory();
  },
  drain(socket) {
    const upstream = socket.data;
    if (!flush(upstream)) return;
    if (upstream.client !== null) feedOn(upstream.client);
    else if (upstream.isEof) drop(upstream, false);
  },
  end(socket) {
    const upstream = socket.data;
    upstream.isEof = true;
    const { client } = upstream;
    if (client === null) return discard(upstream, false);
    if (client.phase === TUNNEL) end(client);
    else upstreamGone(client, upstream, false);
  },
  close(socket, error) {
    const upstream = socket.data;
    upstream.socket = null;
    leaving.delete(upstream);
    unpool(upstream);
    if (upstream.client !== null) upstreamGone(upstream.client, upstream, error !== undefined);
  },
  error(socket, error) {
    console.error(error);
    socket.terminate();
  },
};

/** Whether the app's own user is at the other end. If not, nothing is sent there, and nothing from there is accepted. */
function isOwn(upstream: Upstream, socket: Bun.Socket<Upstream>): boolean {
  const { client, target } = upstream;
  if (client === null) return true;
  const owner = ownerAt(target, socket.localPort);
  if (owner === OWN) return true;
  if (owner === NOBODY) {
    refused(client, upstream);
    return false;
  }
  logTheft(client, target.port, owner);
  refuse(client, 502, `its port ${target.port} is held by another user`);
  return false;
}

/** Starts a connection to a release; bytes sent in the meantime wait in its queue. */
export function connect(client: Client, target: Target): Upstream {
  const upstream: Upstream = {
    socket: null,
    ...unused(clock.now),
    client,
    target,
    isPaused: false,
    isAhead: false,
    pool: null,
    isShared: true,
    checkedAt: 0,
    isReused: false,
    hasAnswered: false,
    isEof: false,
    idleSince: 0,
  };
  const options = { hostname: "127.0.0.1", port: target.port, allowHalfOpen: true, data: upstream, socket: handlers };
  // connectError has already been called for this rejection.
  Bun.connect(options).catch(() => undefined);
  return upstream;
}

function take(upstream: Upstream, chunk: Buffer): void {
  const { client } = upstream;
  if (client === null) return discard(upstream, true);
  client.cameAt = clock.now;
  if (client.phase === TUNNEL) {
    send(client, chunk, 0, chunk.length);
  } else if (client.phase === ACTIVE && !client.isAnswered && upstream.late === null) {
    upstream.hasAnswered = true;
    client.replay = null;
    takeAnswer(client, chunk);
  } else {
    // Bytes that nobody asked for: this connection cannot be trusted with another request.
    if (client.phase === ACTIVE) upstreamGone(client, upstream, true);
    else leaveUpstream(client, true);
    return;
  }
  if (!isEmpty(client) && client.upstream === upstream) setPaused(upstream, true);
}

/** Connections to apps whose clients are gone, and which still take what those have sent; the oldest first. */
const leaving = new Map<Upstream, App>();

/**
 * The client of a tunnel is gone, and both sides have sent everything: the app takes the queued bytes, then the
 * connection is closed. Of too many of these the oldest of the app that has most is reset: no client counts for them.
 */
export function finishUpstream(upstream: Upstream, app: App): void {
  upstream.client = null;
  if (isEmpty(upstream)) return drop(upstream, false);
  leaving.set(upstream, app);
  if (leaving.size > LEAVING) giveUp(oldestOfMost());
  setTimeout(giveUp, LINGER_TIME, upstream);
}

function oldestOfMost(): Upstream {
  const ofApp = Map.groupBy(leaving.keys(), (upstream) => leaving.get(upstream)!);
  return [...ofApp.values()].toSorted((a, b) => b.length - a.length)[0]![0]!;
}

/** Closes it; the app must notice when it did not get everything. */
function giveUp(upstream: Upstream): void {
  leaving.delete(upstream);
  drop(upstream, !isEmpty(upstream));
}
