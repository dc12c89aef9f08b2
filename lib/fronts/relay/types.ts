// The relay's state as types: an app, a client's connection, a connection to an app.
import type { Network } from "../../config/network.ts";
import type { InFlight, Route, Target } from "../../contracts/front.ts";
import type { Party } from "./addresses.ts";
import type { Body } from "./body.ts";
import type { Hour } from "./hour.ts";
import type { Outlet } from "./outlet.ts";

/** The state of an app. */
export interface App {
  route: Route;
  listener: Bun.TCPSocketListener<Client> | null;
  /** Why the app does not listen. */
  error: string | null;
  /** Milliseconds that a request waits while the app is held; null: it is not held. */
  hold: number | null;
  /** The held clients, in order of arrival. */
  waiting: Set<Client>;
  clients: Set<Client>;
  inFlight: Map<string, InFlight>;
  /** Called whenever an in-flight count of a release goes down. */
  watchers: Set<(id: string) => void>;
  requests: number;
  failed: number;
  hour: Hour;
  /** The line that answers over https get, or null. */
  hsts: Buffer | null;
  /** What stands before the app, or null. */
  guard: Guard | null;
  /** Idle connections to its release that no client has; the last one was used last. */
  pool: Upstream[];
}

/** What stands before an app. */
export interface Guard {
  /** SHA-256 of dp's own word, in hex; null: dp has none. */
  pass: string | null;
  /** The page of an app in maintenance; null: it serves. */
  page: Buffer | null;
  /** The networks of the clients that may use the app; null: all may. */
  allowed: readonly Network[] | null;
  /** Users and their hashed passwords; null: nobody needs one. */
  users: ReadonlyMap<string, string> | null;
  /** Digests of credentials: right ones, and those that are being checked. */
  known: Map<string, true | Promise<boolean>>;
}

/** The client of a connection, as its requests report it to the app. */
export interface Origin {
  /** The client's address, or that of the trusted proxy. */
  address: string;
  /** The uid of the local user for whom it counts; null: it counts for its address. */
  uid: number | null;
  /** The uid of the local user whose process it is, from whichever address of this machine; null: none. */
  holder: number | null;
  isTrusted: boolean;
  proto: "http" | "https";
  /** The lines for a direct client: everything except the host's value. */
  lines: Buffer;
}

/** A connection to an app. It belongs to one client connection, or to the app's pool. */
export interface Upstream extends Outlet<Upstream> {
  client: Client | null;
  target: Target;
  isPaused: boolean;
  /** The app may send far ahead on it. */
  isAhead: boolean;
  /** The pool that it is in, or null. */
  pool: Upstream[] | null;
  /** Nothing that it has carried binds it to its client, so that it may carry the requests of others. */
  isShared: boolean;
  /** When it was found out who is at its other end. */
  checkedAt: number;
  /** It has carried a request before, so the app may be closing it right now. */
  isReused: boolean;
  hasAnswered: boolean;
  /** The app sent its FIN. */
  isEof: boolean;
  idleSince: number;
}

/** A client connection. Its fields are in one object for speed; `begin` resets those of the request. */
export interface Client extends Outlet<Client> {
  app: App;
  phase: number;
  /** The port that it came to: DIRECT, HTTP or HTTPS. */
  edge: number;
  origin: Origin;
  /** The client that the connection counts for and, behind a trusted proxy, the client that its request counts for. */
  party: Party;
  guest: Party | null;
  isPaused: boolean;
  /** The client sent its FIN. */
  isEof: boolean;
  /** TCP keep-alive is on. */
  isProbed: boolean;
  /** Waiting bytes: an incomplete head, the next requests, or a body that has no connection to the app yet. */
  pending: Buffer | null;
  /** When the last byte arrived, and when the phase, or the wait of a request, began. */
  cameAt: number;
  since: number;
  /** Since when the bytes of the request's body are counted, and how many have arrived. */
  bodySince: number;
  bodyCame: number;
  upstream: Upstream | null;
  /** Starts a connection to a release; bytes sent in the meantime wait in its queue. */
  connect(client: Client, target: Target): Upstream;

  /** The release on which the request counts. */
  target: Target | null;
  /** The in-flight count that includes the request. */
  kind: keyof InFlight;
  /** The path that the app gets its request without; null: it gets all of it. */
  prefix: string | null;
  /** Bytes of the request for the app, before there is a connection. */
  unsent: Buffer[];
  body: Body;
  isHead: boolean;
  isIdempotent: boolean;
  /** It may be sent on a connection that carries the requests of other clients, too. */
  isShared: boolean;
  isOld: boolean;
  wantsUpgrade: boolean;
  expectsContinue: boolean;
  /** The connection ends after this answer. */
  willClose: boolean;
  /** The client has sent all that it will: it asked for the end, and there is no body. */
  isLast: boolean;
  /** Everything sent on a reused connection, to send it again; null: it must not be sent again. */
  replay: Buffer[] | null;
  replaySize: number;
  /** When the first connection to the app failed, or 0. */
  refusedAt: number;

  /** The head of the answer while it is incomplete. */
  answerPending: Buffer | null;
  hasAnswerHead: boolean;
  isAnswered: boolean;
  answer: Body;
  /** The answer is so small that the kernel may keep it for a client that is counted no more. */
  isSmall: boolean;
  /** The connection to the app may carry another request. */
  keepsUpstream: boolean;
}
