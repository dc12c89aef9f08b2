// The state of a client's connection, and of the one request at a time that it carries.
import { admit, localUsers, partyKey } from "./addresses.ts";
import { makeBody } from "./body.ts";
import { clock } from "./clock.ts";
import { unused } from "./outlet.ts";
import { originOf } from "./rewrite.ts";
import type { App, Client, Upstream } from "./types.ts";

/** The phases of a connection: waiting for a head, carrying a request, a tunnel, reading on after our FIN, closed. */
export const IDLE = 0;
export const ACTIVE = 1;
export const TUNNEL = 2;
export const LINGER = 3;
export const CLOSED = 4;
/** Over https, before its handshake is complete. */
export const HANDSHAKE = 5;

/** The ports that a connection may come to: the app's own, or one of the two of all domains. */
export const DIRECT = 0;
export const HTTP = 1;
export const HTTPS = 2;

/** The request's part of the state when there is no request. */
const noRequest = () => ({
  pending: null,
  cameAt: clock.now,
  since: clock.now,
  bodySince: clock.now,
  bodyCame: 0,
  upstream: null,
  target: null,
  kind: "requests" as const,
  prefix: null,
  unsent: [],
  body: makeBody(),
  isHead: false,
  isIdempotent: false,
  isShared: false,
  isOld: false,
  wantsUpgrade: false,
  expectsContinue: false,
  willClose: false,
  isLast: false,
  replay: null,
  replaySize: 0,
  refusedAt: 0,
  answerPending: null,
  hasAnswerHead: false,
  isAnswered: true,
  answer: makeBody(),
  isSmall: false,
  keepsUpstream: false,
});

/** The state of a connection that was just accepted. */
export function makeClient(
  app: App,
  socket: Bun.Socket<Client>,
  connect: Client["connect"],
  edge: number = DIRECT,
): Client {
  const { uid, holder } = localUsers(socket);
  const proto = edge === HTTPS ? "https" : "http";
  const origin = originOf(socket.remoteAddress, app.route.trustedProxies, uid, proto, holder);
  return {
    app,
    socket,
    connect,
    ...unused(clock.now),
    phase: edge === HTTPS ? HANDSHAKE : IDLE,
    edge,
    origin,
    party: admit(partyKey(origin.address, uid)),
    guest: null,
    isPaused: false,
    isEof: false,
    isProbed: false,
    ...noRequest(),
  };
}

/** Pauses or resumes reading from a socket. */
export function setPaused(side: Client | Upstream, isPaused: boolean): void {
  if (side.isPaused === isPaused || side.socket === null) return;
  side.isPaused = isPaused;
  if (isPaused) side.socket.pause();
  else side.socket.resume();
}
