// A client's connection: its state, and that of the one request at a time that it carries.
import type { InFlight, Target } from "../../contracts/front.ts";
import type { App } from "./app.ts";
import { type Body, makeBody } from "./body.ts";
import { clock } from "./clock.ts";
import type { Outlet } from "./outlet.ts";
import { type Origin, originOf } from "./rewrite.ts";

/** What a connection does: waits for a head, carries a request, carries anything, reads on after its FIN, is gone. */
export const IDLE = 0;
export const ACTIVE = 1;
export const TUNNEL = 2;
export const LINGER = 3;
export const CLOSED = 4;

/** A connection to an app. It belongs to one client connection and is never given to another. */
export interface Upstream extends Outlet<Upstream> {
  client: Client | null;
  target: Target;
  isPaused: boolean;
  /** It carried a request before this one, so the app may just be closing it. */
  isReused: boolean;
  hasAnswered: boolean;
  /** It sent its FIN. */
  isEof: boolean;
  idleSince: number;
}

/** A client connection. Its fields are one object for the speed of it; the request's are reset by `begin`. */
export interface Client extends Outlet<Client> {
  app: App;
  phase: number;
  origin: Origin;
  isPaused: boolean;
  /** The client sent its FIN. */
  isEof: boolean;
  /** TCP keep-alive is on. */
  isProbed: boolean;
  /** Bytes that wait: a head that is not complete, the next requests, a body without a connection to the app. */
  pending: Buffer | null;
  /** When a byte last came, and when the phase, or the wait of a request, began. */
  cameAt: number;
  since: number;
  upstream: Upstream | null;

  /** The request: the release that it counts on, and as what; what the app shall get first; its body. */
  target: Target | null;
  kind: keyof InFlight;
  unsent: Buffer[];
  body: Body;
  isHead: boolean;
  isIdempotent: boolean;
  isOld: boolean;
  wantsUpgrade: boolean;
  expectsContinue: boolean;
  /** The connection ends after this answer. */
  willClose: boolean;
  /** Everything sent on a connection that was used before, to send it again; null: it must not be. */
  replay: Buffer[] | null;
  replaySize: number;
  /** When the first connect to the app failed, or 0. */
  refusedAt: number;
  retry: ReturnType<typeof setTimeout> | null;

  /** The answer: a head that is not complete, and its body. */
  answerPending: Buffer | null;
  hasAnswerHead: boolean;
  isAnswered: boolean;
  answer: Body;
  /** The connection to the app may carry another request. */
  keepsUpstream: boolean;
}

/** The state of a connection that was just accepted. */
export function makeClient(app: App, socket: Bun.Socket<Client>): Client {
  return {
    app,
    socket,
    queue: [],
    isEnding: false,
    isEnded: false,
    tookAt: clock.now,
    phase: IDLE,
    origin: originOf(socket.remoteAddress, app.route.trustedProxies),
    isPaused: false,
    isEof: false,
    isProbed: false,
    pending: null,
    cameAt: clock.now,
    since: clock.now,
    upstream: null,
    target: null,
    kind: "requests",
    unsent: [],
    body: makeBody(),
    isHead: false,
    isIdempotent: false,
    isOld: false,
    wantsUpgrade: false,
    expectsContinue: false,
    willClose: false,
    replay: null,
    replaySize: 0,
    refusedAt: 0,
    retry: null,
    answerPending: null,
    hasAnswerHead: false,
    isAnswered: true,
    answer: makeBody(),
    keepsUpstream: false,
  };
}

/** Stops or goes on reading from a socket. */
export function setPaused(side: Client | Upstream, isPaused: boolean): void {
  if (side.isPaused === isPaused || side.socket === null) return;
  side.isPaused = isPaused;
  if (isPaused) side.socket.pause();
  else side.socket.resume();
}
