// Passes the app's answer on to the client.
import { readAhead } from "./ahead.ts";
import { answer, readAnswer } from "./answer-head.ts";
import { enter, leave, relay } from "./app.ts";
import { type Body, CHUNKED, LENGTH, NONE, UNTIL_CLOSE, startBody, takeBody } from "./body.ts";
import { ACTIVE, HTTPS, TUNNEL, setPaused } from "./client-connection.ts";
import { assign } from "./assign.ts";
import { cut, leaveUpstream, linger, refuse, settle } from "./ending.ts";
import { answered } from "./exchange.ts";
import { INCOMPLETE, REFUSED } from "./field.ts";
import { AHEAD_LEAST } from "./limits.ts";
import { logAnswer } from "./log.ts";
import { drop, growth, hasUnread, isEmpty, remainder, send, sendTogether } from "./outlet.ts";
import { pump } from "./pump.ts";
import { answerFor } from "./rewrite.ts";
import type { Client, Upstream } from "./types.ts";

/** A head and a body's first bytes up to this size are sent in one piece. */
const TOGETHER = 16 * 1024;

/** Takes bytes of the answer. */
export function takeAnswer(client: Client, chunk: Buffer): void {
  if (client.hasAnswerHead) return takeRest(client, chunk, 0);
  const buffer = client.answerPending === null ? chunk : Buffer.concat([client.answerPending, chunk]);
  client.answerPending = null;
  let at = 0;
  for (;;) {
    const next = readAnswer(buffer, at, buffer.length);
    if (next === INCOMPLETE) {
      client.answerPending = remainder(buffer, at, buffer.length);
      growth.bytes += buffer.length - at;
      return;
    }
    if (next === REFUSED) return fail(client, `it sent a malformed answer: ${answer.why}`);
    if (answer.code === 101) return startTunnel(client, buffer, at);
    if (answer.code >= 200) return takeFinal(client, buffer, at, next);
    if (answer.code === 100) client.expectsContinue = false;
    // HTTP/1.0 has no interim (1xx) answers.
    if (!client.isOld) send(client, buffer, at, next);
    at = next;
  }
}

/** Handles the head of the final answer: decides how its body ends. */
function takeFinal(client: Client, buffer: Buffer, start: number, bodyAt: number): void {
  const { code } = answer;
  const kind =
    client.isHead || code === 204 || code === 304
      ? NONE
      : answer.isChunked
        ? CHUNKED
        : answer.length >= 0
          ? LENGTH
          : UNTIL_CLOSE;
  client.hasAnswerHead = true;
  client.keepsUpstream = answer.minor === 1 && !answer.isClose && kind !== UNTIL_CLOSE;
  // An app that sends a body where none belongs may do so later; NTLM logs in by several answers.
  if (kind === NONE || code === 401 || code === 407) client.upstream!.isShared = false;
  client.isSmall = kind === NONE || (kind === LENGTH && answer.length <= TOGETHER);
  startBody(client.answer, kind, answer.length);
  if (kind === CHUNKED) client.answer.cuts = [];
  // A client that was not told to continue may never send its body: only closing the connection is unambiguous for both.
  if (kind === UNTIL_CLOSE || relay.isStopping || client.expectsContinue) client.willClose = true;
  const isRaw = client.isOld && kind === CHUNKED;
  const hsts = client.edge === HTTPS ? client.app.hsts : null;
  const head = answerFor(buffer, start, client.willClose, client.isOld, hsts);
  if (head === null) return takeRest(client, buffer, bodyAt, start);
  if (!isRaw && buffer.length - bodyAt <= TOGETHER) {
    const together = Buffer.concat([head, buffer.subarray(bodyAt)]);
    return takeRest(client, together, head.length, 0);
  }
  takeRest(client, buffer, bodyAt, bodyAt, head);
}

/**
 * Passes on bytes of the body from `at` on. The head goes with the first of them: it is the bytes between `start` and
 * `at`, or `head`. Nothing is sent before all of it has been validated.
 */
function takeRest(client: Client, buffer: Buffer, at: number, start = at, head: Buffer | null = null): void {
  const body = client.answer;
  const isRaw = client.isOld && body.kind === CHUNKED;
  const spans = isRaw ? (body.spans = []) : null;
  if (body.cuts !== null) body.cuts.length = 0;
  const to = takeBody(body, buffer, at, buffer.length);
  if (to === REFUSED) {
    if (start < at || head !== null) client.hasAnswerHead = false;
    return fail(client, "it sent a malformed body: a bad chunk or trailer");
  }
  if (head !== null) send(client, head, 0, head.length);
  if (spans !== null) for (let i = 0; i < spans.length; i += 2) send(client, buffer, spans[i]!, spans[i + 1]!);
  else if (body.cuts === null) (body.isDone && !client.willClose ? sendTogether : send)(client, buffer, start, to);
  else if (body.cuts.length === 0) send(client, buffer, start, to);
  else sendKept(client, buffer, start, to, body.cuts);
  if (!body.isDone && to - at >= AHEAD_LEAST) readAhead(client.upstream!);
  if (!body.isDone && client.edge !== HTTPS) pumpRest(client, body);
  if (!body.isDone) return;
  if (body.kept !== null && !isRaw) send(client, body.kept, 0, body.kept.length);
  if (to < buffer.length) client.keepsUpstream = false;
  answered(client);
}

/** Takes what has arrived of the body. What the app has sent besides stays with the kernel, and ends the connection. */
function pumpRest(client: Client, body: Body): void {
  const { socket } = client.upstream!;
  pump(socket, client, body);
  if (body.isDone && (socket === null || hasUnread(socket))) client.keepsUpstream = false;
}

/** Passes on what has arrived of the answer since the client was too slow for it, and lets more come. */
export function takeOn(client: Client): void {
  const { answer: body, upstream } = client;
  if (upstream === null) return;
  if (client.phase === ACTIVE && client.hasAnswerHead && !client.isAnswered && client.edge !== HTTPS) {
    pumpRest(client, body);
    if (body.isDone) answered(client);
  }
  if (client.upstream === upstream) setPaused(upstream, !isEmpty(client));
}

function sendKept(client: Client, buffer: Buffer, start: number, end: number, cuts: readonly number[]): void {
  let from = start;
  for (let i = 0; i < cuts.length; i += 2) {
    send(client, buffer, from, cuts[i]!);
    from = cuts[i + 1]!;
  }
  send(client, buffer, from, end);
}

/** Handles an answer that cannot be passed on: 502, or a reset when part of it was sent. Either way it is logged. */
function fail(client: Client, why: string): void {
  logAnswer(client, client.hasAnswerHead ? `${why}; the client was cut off` : `${why}; answered 502`);
  refuse(client, 502, why);
}

/** After 101 both sides may send anything. */
function startTunnel(client: Client, buffer: Buffer, start: number): void {
  const { target, upstream } = client;
  if (!client.wantsUpgrade || target === null || upstream === null)
    return fail(client, "it switched protocols without being asked to");
  enter(client.app, target.id, "tunnels");
  leave(client.app, target.id, client.kind);
  client.kind = "tunnels";
  client.phase = TUNNEL;
  send(client, buffer, start, buffer.length);
  const { pending } = client;
  client.pending = null;
  if (pending !== null) send(upstream, pending, 0, pending.length);
}

/** Handles the end of the app's side, before or after its answer was complete. */
export function upstreamGone(client: Client, upstream: Upstream, isError: boolean): void {
  if (client.phase === TUNNEL) return tunnelGone(client, isError);
  const unsent = unsentOf(client, upstream);
  upstream.late = null;
  client.upstream = null;
  upstream.client = null;
  drop(upstream, false);
  if (client.phase !== ACTIVE) return;
  if (client.isAnswered) {
    settle(client);
    return linger(client);
  }
  if (client.hasAnswerHead) {
    if (client.answer.kind !== UNTIL_CLOSE || isError)
      return fail(client, "it closed the connection before its answer was whole");
    client.answer.isDone = true;
    return answered(client);
  }
  if (unsent !== null) {
    // The app closed a connection that it thought idle: the request is sent once more, on a fresh connection.
    settle(client);
    client.unsent = unsent;
    return assign(client, true);
  }
  fail(client, "it closed the connection without an answer");
}

/** What of a request the app cannot have begun with, or may begin with twice; null: it may have begun. */
function unsentOf(client: Client, upstream: Upstream): Buffer[] | null {
  if (upstream.late !== null) return [upstream.late];
  return upstream.isReused && !upstream.hasAnswered ? client.replay : null;
}

function tunnelGone(client: Client, isError: boolean): void {
  if (isError) return cut(client);
  // Without an error this is the app's FIN after ours: only our FIN still has to reach the client.
  settle(client);
  leaveUpstream(client, false);
  linger(client);
}
