// The app's answer on its way to the client.
import { answer, readAnswer } from "./answer-head.ts";
import { enter, leave, relay } from "./app.ts";
import { CHUNKED, LENGTH, NONE, UNTIL_CLOSE, startBody, takeBody } from "./body.ts";
import { ACTIVE, TUNNEL } from "./client-connection.ts";
import { assign } from "./assign.ts";
import { cut, leaveUpstream, linger, refuse, settle } from "./ending.ts";
import { answered } from "./exchange.ts";
import { INCOMPLETE, REFUSED } from "./field.ts";
import { logAnswer } from "./log.ts";
import { drop, send } from "./outlet.ts";
import { answerFor } from "./rewrite.ts";
import type { Client, Upstream } from "./types.ts";

/** A body's start that is sent in one piece with its head. */
const TOGETHER = 16 * 1024;

/** Bytes of the answer. */
export function takeAnswer(client: Client, chunk: Buffer): void {
  if (client.hasAnswerHead) return takeRest(client, chunk, 0);
  const buffer = client.answerPending === null ? chunk : Buffer.concat([client.answerPending, chunk]);
  client.answerPending = null;
  let at = 0;
  for (;;) {
    const next = readAnswer(buffer, at, buffer.length);
    if (next === INCOMPLETE) {
      client.answerPending = buffer.subarray(at);
      return;
    }
    if (next === REFUSED) return fail(client, `it sent an answer that is not sound: ${answer.why}`);
    if (answer.code === 101) return startTunnel(client, buffer, at);
    if (answer.code >= 200) return takeFinal(client, buffer, at, next);
    if (answer.code === 100) client.expectsContinue = false;
    // HTTP/1.0 knows no answer before the answer.
    if (!client.isOld) send(client, buffer, at, next);
    at = next;
  }
}

/** The head of the answer proper, and how its body will end. */
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
  startBody(client.answer, kind, answer.length);
  if (kind === CHUNKED) client.answer.cuts = [];
  // A client that was not told to go on may never send its body: only the end of the connection is clear to both.
  if (kind === UNTIL_CLOSE || relay.isStopping || client.expectsContinue) client.willClose = true;
  const isRaw = client.isOld && kind === CHUNKED;
  const head = answerFor(buffer, start, client.willClose, client.isOld);
  if (head === null) return takeRest(client, buffer, bodyAt, start);
  if (!isRaw && buffer.length - bodyAt <= TOGETHER) {
    const together = Buffer.concat([head, buffer.subarray(bodyAt)]);
    return takeRest(client, together, head.length, 0);
  }
  takeRest(client, buffer, bodyAt, bodyAt, head);
}

/**
 * Bytes of the body from `at` on. With the first of them goes the head: it is what stands before them from `start` on, or
 * `head`. Nothing of either is sent before they were found to be sound.
 */
function takeRest(client: Client, buffer: Buffer, at: number, start = at, head: Buffer | null = null): void {
  const body = client.answer;
  const isRaw = client.isOld && body.kind === CHUNKED;
  const spans = isRaw ? (body.spans = []) : null;
  if (body.cuts !== null) body.cuts.length = 0;
  const to = takeBody(body, buffer, at, buffer.length);
  if (to === REFUSED) {
    if (start < at || head !== null) client.hasAnswerHead = false;
    return fail(client, "it sent a body that is not sound: a bad chunk, or a bad trailer");
  }
  if (head !== null) send(client, head, 0, head.length);
  if (spans !== null) for (let i = 0; i < spans.length; i += 2) send(client, buffer, spans[i]!, spans[i + 1]!);
  else if (body.cuts === null || body.cuts.length === 0) send(client, buffer, start, to);
  else sendKept(client, buffer, start, to, body.cuts);
  if (!body.isDone) return;
  if (body.kept !== null && !isRaw) send(client, body.kept, 0, body.kept.length);
  if (to < buffer.length) client.keepsUpstream = false;
  answered(client);
}

function sendKept(client: Client, buffer: Buffer, start: number, end: number, cuts: readonly number[]): void {
  let from = start;
  for (let i = 0; i < cuts.length; i += 2) {
    send(client, buffer, from, cuts[i]!);
    from = cuts[i + 1]!;
  }
  send(client, buffer, from, end);
}

/** The app's answer cannot be passed on: 502, or a reset when some of it was. The log has it either way. */
function fail(client: Client, why: string): void {
  logAnswer(client, client.hasAnswerHead ? `${why}; the client was cut off` : `${why}; answered 502`);
  refuse(client, 502, why);
}

/** 101: from here on both sides say what they like. */
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

/** The app's side is gone, before or after it was through. */
export function upstreamGone(client: Client, upstream: Upstream, isError: boolean): void {
  if (client.phase === TUNNEL) return tunnelGone(client, isError);
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
  if (upstream.isReused && !upstream.hasAnswered && client.replay !== null) {
    // It closed a connection that it thought idle: the request is sent once more, on a fresh one.
    settle(client);
    client.unsent = client.replay;
    return assign(client);
  }
  fail(client, "it closed the connection without an answer");
}

function tunnelGone(client: Client, isError: boolean): void {
  if (isError) return cut(client);
  // Without an error this is its FIN after ours: the client has one more thing to get, our FIN.
  settle(client);
  leaveUpstream(client, false);
  linger(client);
}
