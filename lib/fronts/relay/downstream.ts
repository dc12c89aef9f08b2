// Client connections: accepts them and handles their events.
import { excessOf, isSpared } from "./addresses.ts";
import { gate, relay } from "./app.ts";
import { ACTIVE, CLOSED, DIRECT, HTTP, IDLE, LINGER, TUNNEL, makeClient } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { takeOn } from "./answer.ts";
import { assign } from "./assign.ts";
import { abort, conclude, forget, refuse, steer } from "./ending.ts";
import { feed, next, takeHead } from "./exchange.ts";
import { CONNECTIONS_REFUSED } from "./limits.ts";
import { logCrowd } from "./log.ts";
import { isCountDue, limitMemory } from "./memory.ts";
import { drop, end, flush, growth, isEmpty, send } from "./outlet.ts";
import { excess, makeRoom } from "./room.ts";
import { connect, finishUpstream } from "./upstream.ts";
import type { App, Client, Upstream } from "./types.ts";

/** The handlers for connections of the app's listening socket. */
export function handlersFor(app: App): Bun.SocketHandler<Client> {
  return { open: (socket) => open(app, socket), ...events };
}

/** The handlers for the plain port of all domains. */
export const plainHandlers = (): Bun.SocketHandler<Client> => ({
  open: (socket) => open(gate, socket, HTTP),
  ...events,
});

/** The handlers that are the same for every listening socket. */
export const events = { data, drain, end: ended, close, error };

/** Counts a connection that was just accepted; returns how far it, and its client alone, are above their limits. */
export function take(
  app: App,
  socket: Bun.Socket<Client>,
  edge: number,
): { client: Client; over: number; own: number } {
  clock.wake?.();
  const client = (socket.data = makeClient(app, socket, connect, edge));
  const { origin, party } = client;
  const own = origin.isTrusted || isSpared(origin.uid) ? 0 : excessOf(party);
  app.clients.add(client);
  relay.connections++;
  if (own < 1) makeRoom(client);
  const over = Math.max(own, excess(app));
  if (own > 0 && over <= CONNECTIONS_REFUSED) logCrowd(client);
  return { client, over, own };
}

function open(app: App, socket: Bun.Socket<Client>, edge: number = DIRECT): void {
  const { client, over, own: ofClient } = take(app, socket, edge);
  if (over > CONNECTIONS_REFUSED) return drop(client, true);
  if (app.route.protocol === "tcp") {
    if (over > 0) return drop(client, true);
    client.phase = TUNNEL;
    app.requests++;
    assign(client);
  } else if (ofClient > 0) refuse(client, 503, "this address has too many connections");
  else if (over > 0) refuse(client, 503, "it has too many connections");
}

function data(socket: Bun.Socket<Client>, chunk: Buffer): void {
  takeBytes(socket.data, chunk);
  if (isCountDue()) limitMemory();
}

function takeBytes(client: Client, chunk: Buffer): void {
  client.cameAt = clock.now;
  if (client.phase === IDLE) {
    if (isEmpty(client)) takeHead(client, chunk);
    else stash(client, chunk);
  } else if (client.phase === ACTIVE) {
    if (client.body.isDone || (client.upstream === null && client.pending !== null)) stash(client, chunk);
    else feed(client, chunk, 0);
  } else if (client.phase === TUNNEL) {
    if (client.upstream === null) return stash(client, chunk);
    send(client.upstream, chunk, 0, chunk.length);
    steer(client);
  }
}

/** Keeps bytes that cannot be handled yet. */
function stash(client: Client, chunk: Buffer): void {
  client.pending = client.pending === null ? chunk : Buffer.concat([client.pending, chunk]);
  growth.bytes += chunk.length;
  steer(client);
}

function drain(socket: Bun.Socket<Client>): void {
  const client = socket.data;
  if (!flush(client)) return;
  takeOn(client);
  if (client.phase === IDLE) next(client);
  else if (client.phase === LINGER) conclude(client);
}

/** Handles the client's FIN. Its request is still answered: it may have closed only its own side. */
function ended(socket: Bun.Socket<Client>): void {
  const client = socket.data;
  client.isEof = true;
  if (client.phase === IDLE) next(client);
  else if (client.phase === TUNNEL) endTunnel(client);
  else if (client.phase === LINGER) conclude(client);
  else if (client.phase === ACTIVE) {
    // The request will never be complete. A held request is checked when it is fed.
    if (!client.body.isDone && client.upstream !== null) abort(client);
    // Only a probe shows whether the client is gone altogether.
    else socket.setKeepAlive(true, 15_000);
  }
}

function endTunnel(client: Client): void {
  const { upstream } = client;
  if (upstream === null) return abort(client);
  end(upstream);
}

function close(socket: Bun.Socket<Client>, error?: Error): void {
  const client = socket.data;
  if (client.phase === CLOSED) return;
  const { upstream } = client;
  client.socket = null;
  // Without an error this is the client's FIN after ours: the app may still have to read what the client sent.
  if (client.phase === TUNNEL && upstream !== null && error === undefined) finishTunnel(client, upstream);
  forget(client);
}

function finishTunnel(client: Client, upstream: Upstream): void {
  client.upstream = null;
  end(upstream);
  finishUpstream(upstream, client.app);
}

function error(socket: Bun.Socket<Client>, problem: Error): void {
  console.error(problem);
  socket.terminate();
}
