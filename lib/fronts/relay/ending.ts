// Ends requests early, and ends client connections.
import { dismiss } from "./addresses.ts";
import { leave, relay } from "./app.ts";
import { ACTIVE, CLOSED, HTTPS, IDLE, LINGER, TUNNEL, setPaused } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { dismissGuest } from "./guest.ts";
import { ORPHANED, PIPELINED } from "./limits.ts";
import { countKept, drop, end, hasUnread, isEmpty, send, sendLate } from "./outlet.ts";
import { giveBack } from "./pool.ts";
import { refusal } from "./refusal.ts";
import { tryNoMore } from "./refused.ts";
import type { Client } from "./types.ts";

/** Pauses reading from the client while its bytes have nowhere to go. */
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

/** Stops counting the request, or tunnel, on its release. */
export function settle(client: Client): void {
  const { target } = client;
  client.target = null;
  if (target !== null) leave(client.app, target.id, client.kind);
}

/** Gives up the connection to the app. `isReset`: its exchange was not complete. */
export function leaveUpstream(client: Client, isReset: boolean): void {
  const { upstream } = client;
  client.upstream = null;
  if (upstream === null) return;
  upstream.client = null;
  upstream.late = null; // nobody waits for its answer
  drop(upstream, isReset);
}

/** Answers in place of the app, or resets the client when the app's answer has begun. */
export function refuse(client: Client, status: number, why: string): void {
  if (status >= 502 && status !== 505) client.app.failed++;
  stop(client);
  if (client.socket === null || client.phase === TUNNEL || (client.phase === ACTIVE && client.hasAnswerHead))
    return drop(client, true);
  const answer = refusal(status, client.app.route.app, why, client.phase === ACTIVE && client.isHead);
  send(client, answer, 0, answer.length);
  linger(client);
}

/** Gives an answer of the relay's own that says nothing about the app, and ends the connection. */
export function tell(client: Client, answer: Buffer): void {
  stop(client);
  send(client, answer, 0, answer.length);
  linger(client);
}

/** Resets the client, so that it does not take a truncated answer for a complete one. */
export function cut(client: Client): void {
  client.app.failed++;
  abort(client);
}

/** Ends both sides at once. */
export function abort(client: Client): void {
  stop(client);
  drop(client, true);
}

/** Removes a request from wherever it is. */
export function stop(client: Client): void {
  tryNoMore(client);
  client.pending = null;
  client.unsent = [];
  client.replay = null;
  client.answerPending = null;
  client.app.waiting.delete(client);
  dismissGuest(client);
  settle(client);
  if (client.phase === IDLE) giveBack(client);
  leaveUpstream(client, true);
}

/** Stops counting a connection that is gone, whether or not its socket has reported it. */
export function forget(client: Client): void {
  stop(client);
  client.phase = CLOSED;
  client.queue.length = 0;
  client.app.clients.delete(client);
  dismiss(client.party);
  relay.connections--;
}

/** Ends a connection after its last answer: at once if the client has sent all that it will, and the kernel has taken all. */
export function part(client: Client): void {
  const { socket } = client;
  const isOver = client.isLast && client.isSmall && client.pending === null && isEmpty(client) && !client.isEof;
  // Over https a close(2) would come before the end of the session.
  if (!isOver || socket === null || client.edge === HTTPS || hasUnread(socket)) return linger(client);
  // What it has not taken of earlier answers would count for nobody.
  if (countKept(client) > ORPHANED) return linger(client);
  stop(client);
  client.phase = LINGER;
  drop(client, false);
}

/** Ends a connection after its last byte. It is read on until the client's own FIN: a close(2) now would reset unread data. */
export function linger(client: Client): void {
  stop(client);
  client.phase = LINGER;
  client.since = clock.now;
  if (client.socket === null) return;
  setPaused(client, false);
  conclude(client);
}

/**
 * Sends the FIN of a connection that lingers once the client has taken nearly everything: after a FIN of both sides
 * nothing tells how much the kernel still keeps for it, and it would count for nobody.
 */
export function conclude(client: Client): void {
  sendLate(client);
  if (!isEmpty(client) || countKept(client) > ORPHANED) return;
  end(client);
  if (client.isEof) drop(client, false);
}
