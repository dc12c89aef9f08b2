// The contract of a front: it holds the public port of an app and picks the release for every request.
import type { Address } from "../config/tls.ts";
import type { Io } from "../host/io.ts";

/** A release that can take requests. */
export interface Target {
  /** The release's id, `42-3f9c2ab`. */
  id: string;
  /** The port on 127.0.0.1. */
  port: number;
  /**
   * The uid of the user who listens on the port: nobody else may answer. Missing: everything runs as one user, or the
   * user is not known.
   */
  uid?: number;
}

/** A name by which clients reach an app over https. */
export interface Domain {
  /** In lower case; `*.example.com` for all names of one label below example.com. */
  name: string;
  /** The app has only this path, `/api`, and what is below it; missing: all that no other app has. */
  path?: string;
  /** The app gets its requests without that path. */
  stripPrefix?: boolean;
  /** The name to which its clients are redirected; missing: the app answers. */
  redirect?: string;
}

/** How an app's domains are served. */
export interface TlsPolicy {
  /** What port 80 does: `redirect` to https, or `serve` the app as well. */
  http: "redirect" | "serve";
  /** Seconds of Strict-Transport-Security; 0: the header is not sent. */
  hsts: number;
}

/** An app that is in maintenance: its clients get a page. */
export interface Maintenance {
  /** ISO 8601. */
  since: string;
  /** The page, HTML; missing: the front's own. A status has none. */
  page?: string;
}

/** The front's settings for one app. */
export interface Route {
  app: string;
  /** The public address. */
  listen: Address;
  protocol: "http" | "tcp";
  target: Target | null;
  /** IP addresses of the proxies whose X-Forwarded-* headers are trusted. Empty: the front is the public edge. */
  trustedProxies: string[];
  /**
   * The uid of the app's own user, who is never a trusted proxy, whatever the address. Missing: everything runs as one
   * user.
   */
  uid?: number;
  /** Missing: none. */
  domains?: Domain[];
  tls?: TlsPolicy;
  /** SHA-256 of the word by which the front knows dp's own requests, in hex; missing: it knows none. */
  pass?: string;
  /** The networks of the clients that may use the app; missing: all may. */
  allow?: string[];
  /** User -> password, as bcrypt has hashed it; missing: nobody needs one. */
  basicAuth?: Record<string, string>;
  /** Missing: the app serves. A front that knows the app keeps what `maintain` said last. */
  maintenance?: Maintenance;
}

/** The requests and connections in flight on one release. */
export interface InFlight {
  /** Requests; connections when the protocol is tcp. */
  requests: number;
  /** Upgraded connections. */
  tunnels: number;
}

/** A route and its current state. */
export interface RouteStatus extends Omit<Route, "allow" | "basicAuth"> {
  /** A digest of `allow` and `basicAuth`; missing: the route has none. */
  guarded?: string;
  isListening: boolean;
  /** Why it does not listen: the port is taken, or needs a right. */
  error: string | null;
  isHeld: boolean;
  /** Requests that are held. */
  waiting: number;
  /** Client connections. */
  connections: number;
  /** In-flight counts by release id. */
  inFlight: Record<string, InFlight>;
  /** Since the front started. */
  requests: number;
  /** Requests answered with 502, 503 or 504, or cut off by the front or the app. */
  failed: number;
  /** [requests, failed] of the last 60 minutes, oldest first, the last one not over; null: the front does not count them, or was not asked for them. */
  minutes: [requests: number, failed: number][] | null;
}

/** One port of the domains: why it does not listen, or null. */
export interface EdgePort extends Address {
  error: string | null;
}

/** The ports of the domains, and the names whose certificates are in use. */
export interface EdgeStatus {
  http: EdgePort;
  https: EdgePort;
  certified: string[];
  /** Who does the TLS in the relay: Bun's fast handlers, or node:tls. Missing: another program. */
  way?: "bun" | "node";
}

/** The front as a whole. `since` is an ISO time, `rss` is in bytes. */
export interface FrontStatus {
  pid: number;
  version: string;
  since: string;
  rss: number;
  /** Null: no app has a domain. */
  edge: EdgeStatus | null;
  routes: RouteStatus[];
}

/** How a drain ended. */
export interface Drained {
  /** Requests that were still in flight at the timeout and were cut off. */
  requests: number;
  /** Upgraded connections that were closed. */
  tunnelsClosed: number;
}

/** A new or changed route; without `target` the current target stays. */
export type RouteChange = Omit<Route, "target"> & { target?: Target | null };

/** Frees a port for a front, which waits for it; `isKnown`: that front has a route for the app already. */
export type MakeWay = (isKnown: boolean) => Promise<void>;

export interface Front {
  readonly name: string;
  readonly summary: string;
  /** False: the app listens on the public port itself. */
  readonly holdsPort: boolean;
  /** The system user that reads the files of certificates; missing: only root does. */
  readonly keyReader?: string;
  /** The uid of the user whose sockets hold the public ports; null: that user is missing. Comes with `maintain`. */
  socketUid?(): number | null;
  /** Why this host cannot use it, or null when it can. */
  unavailable(): Promise<string | null>;
  /** Announces that this process is about to call `setup` for many apps that had it before: the front starts meanwhile. */
  expectMany?(): Promise<void>;
  /**
   * Starts the front if necessary and makes it hold the app's port; keeps the target. Returns one sentence for each
   * change. `makeWay` frees the port; a front that listens there for the app need not call it.
   */
  setup(route: Omit<Route, "target">, io: Io, makeWay?: MakeWay): Promise<string[]>;
  /** One sentence for each server-wide part of the front that `setup` would make differently now. */
  drift?(): Promise<string[]>;
  /** Makes in advance what `point` to a target needs and what takes long; `point` does it otherwise. Safe to repeat. */
  prepare?(app: string, target: Target, io: Io): Promise<void>;
  /** Once this returns, every new request goes to the target; null: 503. Durable. */
  point(app: string, target: Target | null, io: Io): Promise<void>;
  /** Holds new requests, each at most `limit` ms. */
  hold(app: string, limit: number, io: Io): Promise<void>;
  /** Sends the held requests to the target. Safe when the app is not held. */
  resume(app: string, io: Io): Promise<void>;
  /**
   * Answers new requests with 503 and a page, except dp's own, which bring the word of `pass`; null: the app serves again.
   * Durable. Missing: the front cannot.
   */
  maintain?(app: string, maintenance: Maintenance | null, pass: string): Promise<void>;
  /** Waits until nothing is in flight on a release, at most `timeout` ms, then cuts off the rest. */
  drain(app: string, id: string, timeout: number, io: Io): Promise<Drained>;
  /**
   * The current state of the app's route; null: the front does not know the app. With `isBrief` it may leave out the
   * minutes, which are most of it.
   */
  status(app: string, isBrief?: boolean): Promise<RouteStatus | null>;
  /** Takes the certificate that was written for a name into use, for new connections. Missing: it serves no domains. */
  certify?(name: string): Promise<void>;
  /** The ports of the domains; null: no app has one, or the front does not run. */
  edge?(): Promise<EdgeStatus | null>;
  /** Releases the app's port. Safe to repeat. */
  remove(app: string, io: Io): Promise<void>;
}
