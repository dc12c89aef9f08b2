// One request and its answer, from its head to the next request.
import { inOriginForm } from "./absolute.ts";
import { relay } from "./app.ts";
import { assign } from "./assign.ts";
import { CHUNKED, LENGTH, NONE, startBody, takeBody } from "./body.ts";
import { isWord } from "./bytes.ts";
import { ACTIVE, CLOSED, DIRECT, HTTPS, IDLE, TUNNEL } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { edgeAnswer } from "./edge-answer.ts";
import { abort, leaveUpstream, linger, part, refuse, settle, steer, tell } from "./ending.ts";
import { INCOMPLETE, REFUSED } from "./field.ts";
import { guardAnswer } from "./guard.ts";
import { admitGuest, dismissGuest } from "./guest.ts";
import { CONNECT_TIME, HEAD_SIZE, REPLAY } from "./limits.ts";
import { logRefusal } from "./log.ts";
import { growth, isEmpty, remainder, send } from "./outlet.ts";
import { giveBack } from "./pool.ts";
import { pump } from "./pump.ts";
import { tryLater } from "./refused.ts";
import { readRequest, request } from "./request-head.ts";
import { requestFor } from "./rewrite.ts";
import { withoutPrefix } from "./shared-host.ts";
import type { Client, Upstream } from "./types.ts";

/** Takes bytes from a client that is between requests. */
export function takeHead(client: Client, chunk: Buffer): void {
  let buffer = chunk;
  if (client.pending !== null) {
    buffer = Buffer.concat([client.pending, chunk]);
    // Only the end of a line can complete a head that was incomplete before.
    growth.bytes += chunk.length;
    if (!chunk.includes(10) && buffer.length < HEAD_SIZE) return void (client.pending = buffer);
  } else {
    client.since = clock.now;
  }
  client.pending = null;
  let at = readRequest(buffer, 0, buffer.length);
  if (at > 0 && request.isAbsolute) {
    buffer = inOriginForm(request, buffer, at);
    at = readRequest(buffer, 0, buffer.length);
  }
  if (at === INCOMPLETE) {
    client.pending = buffer;
    if (client.isEof) linger(client);
    else steer(client);
  } else if (at === REFUSED) {
    logRefusal(client, request.why);
    refuse(client, request.status, request.why);
  } else begin(client, buffer, at);
}

/** Starts the request whose head was just read; its body, and maybe the next request, follow from `at` on. */
function begin(client: Client, buffer: Buffer, at: number): void {
  client.phase = ACTIVE;
  client.since = clock.now;
  client.isHead = request.isHead;
  client.isIdempotent = request.isIdempotent;
  client.isShared = bindsNothing(buffer);
  client.isOld = request.minor === 0;
  client.wantsUpgrade = request.hasUpgrade;
  client.expectsContinue = request.expectsContinue;
  client.willClose = request.isClose || client.isOld || relay.isStopping;
  client.isLast = (request.isClose || client.isOld) && !request.isChunked && request.length <= 0;
  client.refusedAt = 0;
  client.hasAnswerHead = client.isAnswered = client.keepsUpstream = false;
  startBody(client.body, request.isChunked ? CHUNKED : request.length > 0 ? LENGTH : NONE, request.length);
  client.bodySince = clock.now;
  client.bodyCame = 0;
  if (client.edge !== DIRECT) {
    const own = edgeAnswer(client, buffer);
    if (own !== null) return tell(client, own);
  }
  client.app.requests++;
  if (client.origin.isTrusted && !admitGuest(client, buffer))
    return refuse(client, 503, "this client has too many requests under way");
  const own = client.app.guard === null ? null : guardAnswer(client.app.guard, client, buffer);
  if (own instanceof Uint8Array) return tell(client, own);
  const head = requestFor(buffer, client.origin);
  client.unsent = [client.prefix === null ? head : withoutPrefix(head, client.prefix)];
  if (own === null) assign(client);
  else waitFor(client, own);
  if (at < buffer.length && client.phase === ACTIVE) feed(client, buffer, at);
}

/** Whether neither the request nor its answer can leave anything on the connection that it is sent on. */
function bindsNothing(buffer: Buffer): boolean {
  const hasBody = request.isChunked || request.length !== -1;
  if (!request.isIdempotent || request.isHead || request.minor === 0 || hasBody) return false;
  return request.upgradeAt === -1 && !request.expectsContinue && !bindsUser(buffer);
}

/** Whether the request may log in for all of its connection, as NTLM and Negotiate do. */
function bindsUser(buffer: Buffer): boolean {
  const { credentials } = request;
  if (credentials.length === 0) return false;
  return credentials.length > 4 || !EACH_TIME.some((scheme) => isWord(buffer, credentials[1]!, scheme));
}

const EACH_TIME = ["basic ", "bearer ", "digest "];

/** Keeps a request back until its password was checked. */
function waitFor(client: Client, verdict: Promise<Buffer | null>): void {
  const { unsent } = client;
  // What comes of its body waits with the head: on the connection that the request before has left, it would reach the
  // app unchecked, as a request of its own.
  leaveUpstream(client, false);
  steer(client);
  void verdict.then((own) => {
    // The request may be over: a client that has ended, or was refused, has nothing unsent any more.
    if (client.phase !== ACTIVE || client.unsent !== unsent) return;
    if (own === null) assignAgain(client);
    else tell(client, own);
  });
}

/** Takes bytes of the request's body, and of the requests after it. */
export function feed(client: Client, buffer: Buffer, from: number): void {
  const { upstream, body } = client;
  let at = from;
  if (!body.isDone && upstream !== null) {
    at = takeBody(body, buffer, from, buffer.length);
    if (at === REFUSED) return refuse(client, 400, "a bad chunk in its body");
    client.expectsContinue = false;
    client.bodyCame += at - from;
    remember(client, buffer, from, at);
    send(upstream, buffer, from, at);
    // A body that is remembered is small.
    if (!body.isDone && at === buffer.length && client.replay === null && client.edge !== HTTPS)
      client.bodyCame += pump(client.socket, upstream, body);
    if (body.isDone) client.since = clock.now;
  }
  if (at < buffer.length) {
    const rest = remainder(buffer, at, buffer.length);
    growth.bytes += rest.length;
    client.pending = client.pending === null ? rest : Buffer.concat([client.pending, rest]);
  }
  if (body.isDone && client.isAnswered) complete(client);
  else if (client.isEof && !body.isDone && upstream !== null) abort(client);
  else steer(client);
}

/** Passes on what has arrived of the request's body since the app was too slow for it, and lets more come. */
export function feedOn(client: Client): void {
  const { upstream, body } = client;
  client.cameAt = clock.now;
  if (client.phase === ACTIVE && !body.isDone && upstream !== null && client.replay === null && client.edge !== HTTPS) {
    client.bodyCame += pump(client.socket, upstream, body);
    if (body.isDone) client.since = clock.now;
    if (body.isDone && client.isAnswered) return complete(client);
  }
  steer(client);
}

function remember(client: Client, buffer: Buffer, from: number, to: number): void {
  if (client.replay === null) return;
  client.replaySize += to - from;
  if (client.replaySize > REPLAY) client.replay = null;
  else client.replay.push(buffer.subarray(from, to));
}

/** Called when the answer has been passed on; the request's body may still be arriving. */
export function answered(client: Client): void {
  client.isAnswered = true;
  if (client.body.isDone) return complete(client);
  if (!client.willClose && client.upstream !== null) return;
  settle(client);
  leaveUpstream(client, true);
  linger(client);
}

/** Both sides of the exchange are complete: the connection is free for the next request. */
function complete(client: Client): void {
  dismissGuest(client);
  settle(client);
  const { upstream } = client;
  // A pipelined request gets a fresh connection: on this one an unsolicited answer may be arriving, and would be taken
  // for the answer to the next request.
  const isReusable = client.keepsUpstream && client.pending === null;
  if (upstream !== null) upstream.idleSince = performance.now();
  if (isReusable && client.willClose) giveBack(client);
  if (!isReusable || client.willClose) leaveUpstream(client, false);
  if (client.willClose) return part(client);
  client.phase = IDLE;
  client.since = clock.now;
  next(client);
}

/** Handles the client's pipelined bytes once the client has taken the previous answers. */
export function next(client: Client): void {
  const { pending } = client;
  if (pending !== null && isEmpty(client)) {
    client.pending = null;
    takeHead(client, pending);
  } else if (client.isEof && pending === null) linger(client);
  else steer(client);
}

/** Assigns a held request, and sends the part of its body that has arrived. */
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

/** The app refused the connection. Nothing was sent, so it is tried again, perhaps on another release. */
export function refused(client: Client, upstream: Upstream): void {
  const { port } = upstream.target;
  client.unsent = upstream.queue;
  client.upstream = upstream.client = null;
  settle(client);
  client.refusedAt ||= performance.now();
  if (performance.now() - client.refusedAt > CONNECT_TIME)
    return refuse(client, 503, `nothing listens on its port ${port}`);
  steer(client);
  tryLater(client, upstream.target, assignAgain);
}
