// Enforces the time limits: all connections are checked together, a few times a second.
import { relay } from "./app.ts";
import { ACTIVE, HANDSHAKE, IDLE, LINGER, TUNNEL } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { conclude, cut, leaveUpstream, linger, refuse } from "./ending.ts";
import { countHour } from "./hour.ts";
import {
  ANSWER_TIME,
  BODY_BYTES,
  BODY_TIME,
  HANDSHAKE_TIME,
  HEAD_TIME,
  IDLE_TIME,
  LINGER_TIME,
  PROBE_TIME,
  REST_TIME,
  REUSE_TIME,
  STALL_TIME,
  SWEEP_TIME,
} from "./limits.ts";
import { limitMemory } from "./memory.ts";
import { drop, isEmpty } from "./outlet.ts";
import { trimPool } from "./pool.ts";
import type { App, Client } from "./types.ts";

/** Starts the regular check of the apps' connections, which is rare while there are none; answers what ends it. */
export function startSweep(apps: () => Iterable<App>): () => void {
  let timer = setTimeout(turn, SWEEP_TIME);
  function turn(): void {
    sweep(apps());
    const isAtRest = relay.connections === 0 && [...apps()].every(({ pool }) => pool.length === 0);
    clock.wake = isAtRest ? wake : null;
    timer = setTimeout(turn, isAtRest ? REST_TIME : SWEEP_TIME);
  }
  function wake(): void {
    clearTimeout(timer);
    clock.now = performance.now();
    clock.wake = null;
    timer = setTimeout(turn, SWEEP_TIME);
  }
  return () => clearTimeout(timer);
}

function sweep(apps: Iterable<App>): void {
  clock.now = performance.now();
  for (const app of apps) {
    countHour(app.hour, app, clock.now);
    for (const client of app.clients) check(client);
    trimPool(app);
  }
  limitMemory();
}

function check(client: Client): void {
  const { now } = clock;
  if (now - client.since > PROBE_TIME) probe(client);
  const isStuck = !isEmpty(client) && now - client.tookAt > STALL_TIME;
  if (client.phase === IDLE) {
    // It would not be reused, and some apps keep a thread for each connection.
    if (client.upstream !== null && now - client.upstream.idleSince > REUSE_TIME) leaveUpstream(client, false);
    if (isStuck) drop(client, true);
    else if (client.pending !== null) {
      if (now - client.since > HEAD_TIME) refuse(client, 408, "its head did not come within the time");
    } else if (now - client.since > IDLE_TIME) linger(client);
  } else if (client.phase === ACTIVE) {
    if (isStuck) cut(client);
    else checkActive(client, now);
  } else if (client.phase === TUNNEL) {
    if (client.app.waiting.has(client) && isOver(client, now)) cut(client);
  } else if (client.phase === LINGER) {
    if (isStuck) drop(client, true);
    else if (isEmpty(client)) checkLeaving(client, now);
  } else if (client.phase === HANDSHAKE && now - client.since > HANDSHAKE_TIME) drop(client, true);
}

/** Ends a connection after its last answer: by a reset when the client does not take the rest, which the kernel keeps. */
function checkLeaving(client: Client, now: number): void {
  conclude(client);
  const isLeft = client.kept > 0;
  if (now - Math.max(client.since, client.tookAt) > (isLeft ? STALL_TIME : LINGER_TIME)) drop(client, isLeft);
}

/** Lets the kernel find out whether the client is still there: nothing else would while the app sends nothing. */
function probe(client: Client): void {
  if (client.isProbed) return;
  client.isProbed = true;
  client.socket?.setKeepAlive(true, PROBE_TIME);
}

const isOver = (client: Client, now: number) => now - client.since > (client.app.hold ?? 0);

function checkActive(client: Client, now: number): void {
  const { app, body, upstream } = client;
  const isTooSlow = comesTooSlowly(client, now);
  if (app.waiting.has(client)) {
    if (isOver(client, now)) refuse(client, 504, "it was being restarted, and that took too long");
  } else if (!body.isDone) {
    if (!client.isPaused) {
      if (isTooSlow || now - client.cameAt > STALL_TIME) refuse(client, 408, "its body did not come within the time");
    } else if (upstream !== null && now - upstream.tookAt > ANSWER_TIME)
      refuse(client, 504, "it did not take the request's body");
  } else if (!client.hasAnswerHead && upstream !== null && now - client.since > ANSWER_TIME)
    refuse(client, 504, "it did not answer in time");
}

/** Whether a body arrives so slowly that it only holds a connection. The rate does not count while nobody reads the body. */
function comesTooSlowly(client: Client, now: number): boolean {
  const isWanted =
    !client.isPaused && !client.expectsContinue && !client.hasAnswerHead && !client.app.waiting.has(client);
  if (isWanted && now - client.bodySince <= BODY_TIME) return false;
  const came = client.bodyCame;
  client.bodySince = now;
  client.bodyCame = 0;
  return isWanted && came < BODY_BYTES;
}
