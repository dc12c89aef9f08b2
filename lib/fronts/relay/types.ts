// The relay's state as types: an app, a client's connection, a connection to an app.
import type { InFlight, Route, Target } from "../../contracts/front.ts";
import type { Party } from "./addresses.ts";
import type { Body } from "./body.ts";
import type { Outlet } from "./outlet.ts";

/** An app's state. */
export interface App {
  route: Route;
  listener: Bun.TCPSocketListener<Client> | null;
  /** Why it does not listen. */
  error: string | null;
  /** Milliseconds that a request waits while the app is held; null: it is not held. */
  hold: number | null;
  /** Those that wait for the end of the hold, first come first. */
  waiting: Set<Client>;
  clients: Set<Client>;
  inFlight: Map<string, InFlight>;
  /** Called whenever less is under way on a release. */
  watchers: Set<(id: string) => void>;
  requests: number;
  failed: number;
}

/** What a connection's requests say about its client. */
export interface Origin {
  /** The client's address, or that of the trusted proxy. */
  address: string;
  /** The user of this machine that it is a process of; null: none. */
  uid: number | null;
  isTrusted: boolean;
  /** The lines for a client of our own: all but the host's value. */
  lines: Buffer;
}

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
  /** Whom the connection counts for, and, of a trusted proxy, whom its request does. */
  party: Party;
  guest: Party | null;
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
  /** From when on the bytes of the request's body are counted, and how many came since. */
  bodySince: number;
  bodyCame: number;
  upstream: Upstream | null;
  /** Starts a connection to a release; what is sent meanwhile waits in its queue. */
  connect(client: Client, target: Target): Upstream;

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
