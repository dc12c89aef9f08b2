// How a request ends before its time, and how a client connection ends.
import { dismiss } from "./addresses.ts";
import { leave, relay } from "./app.ts";
import { ACTIVE, CLOSED, IDLE, LINGER, TUNNEL, setPaused } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { dismissGuest } from "./guest.ts";
import { PIPELINED } from "./limits.ts";
import { drop, end, isEmpty, send } from "./outlet.ts";
import { refusal } from "./refusal.ts";
import type { Client } from "./types.ts";

/** Whether the client may be read from: not while what it sent has nowhere to go. */
export function steer(client: Client): void {
  const { upstream, phase, pending } = client;
  let isPaused = false;
  if (phase === ACTIVE || phase === TUNNEL) {
    if (upstream !== null) isPaused = !isEmpty(upstream);
    else isPaused = phase === TUNNEL || !client.body.isDone;
    if (phase === ACTIVE && pending !== null && pending.length >= PIPELINED) isPaused = true;
  } else if (phase === IDLE) isPaused = !isEmpty(client) && pending !== null;
  setPaused(client, isPaused);
}

/** The request, or tunnel, no longer counts on its release. */
export function settle(client: Client): void {
  const { target } = client;
  client.target = null;
  if (target !== null) leave(client.app, target.id, client.kind);
}

/** Gives up the connection to the app. `isReset`: it was not through. */
export function leaveUpstream(client: Client, isReset: boolean): void {
  const { upstream } = client;
  client.upstream = null;
  if (upstream === null) return;
  upstream.client = null;
  drop(upstream, isReset);
}

/** Answers in the app's place, or resets the client when the app's answer has begun. */
export function refuse(client: Client, status: number, why: string): void {
  if (status >= 502 && status !== 505) client.app.failed++;
  stop(client);
  if (client.socket === null || client.phase === TUNNEL || (client.phase === ACTIVE && client.hasAnswerHead))
    return drop(client, true);
  const answer = refusal(status, client.app.route.app, why, client.phase === ACTIVE && client.isHead);
  send(client, answer, 0, answer.length);
  linger(client);
}

/** Resets the client: its answer has an end that it must not take for the true one. */
export function cut(client: Client): void {
  client.app.failed++;
  abort(client);
}

/** Ends both sides at once. */
export function abort(client: Client): void {
  stop(client);
  drop(client, true);
}

/** Takes a request out of wherever it is. */
export function stop(client: Client): void {
  if (client.retry !== null) clearTimeout(client.retry);
  client.retry = null;
  client.pending = null;
  client.unsent = [];
  client.replay = null;
  client.answerPending = null;
  client.app.waiting.delete(client);
  dismissGuest(client);
  settle(client);
  leaveUpstream(client, true);
}

/** A connection that is no more, whether its socket has told so or not: it counts nowhere. */
export function forget(client: Client): void {
  stop(client);
  client.phase = CLOSED;
  client.queue.length = 0;
  client.app.clients.delete(client);
  dismiss(client.party);
  relay.connections--;
}

/** Sends a FIN after the last byte, and reads on until the client's own: a close(2) now would reset what it has not read. */
export function linger(client: Client): void {
  stop(client);
  client.phase = LINGER;
  client.since = clock.now;
  if (client.socket === null) return;
  setPaused(client, false);
  end(client);
  if (client.isEof && isEmpty(client)) drop(client, false);
}
