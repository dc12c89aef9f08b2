// What a front is: whatever holds the public port of an app and picks the release for every request.
import type { Io } from "../host/io.ts";

/** A release that can take requests. */
export interface Target {
  /** The release's id, `42-3f9c2ab`. */
  id: string;
  /** The port on 127.0.0.1. */
  port: number;
  /** The user who listens there, by uid: nobody else may answer. Missing: all is one user, or it is not known. */
  uid?: number;
}

/** What the front does for one app. */
export interface Route {
  app: string;
  /** The public address. */
  listen: { host: string; port: number };
  protocol: "http" | "tcp";
  target: Target | null;
  /** Addresses of proxies whose X-Forwarded-* are believed (exact IPs). Empty: the front is the public edge. */
  trustedProxies: string[];
  /** The app's own user, by uid: no proxy, whatever its address is. Missing: all is one user. */
  uid?: number;
}

/** What is under way on one release. */
export interface InFlight {
  /** Requests; connections when the protocol is tcp. */
  requests: number;
  /** Upgraded connections. */
  tunnels: number;
}

/** A route and how it does. */
export interface RouteStatus extends Route {
  isListening: boolean;
  /** Why it does not listen: the port is taken, or needs rights. */
  error: string | null;
  isHeld: boolean;
  /** Requests that wait for the end of the hold. */
  waiting: number;
  /** Client connections. */
  connections: number;
  /** By release id. */
  inFlight: Record<string, InFlight>;
  /** Since the front started. */
  requests: number;
  /** Answered 502, 503 or 504, or cut by the front's or the app's side. */
  failed: number;
}

/** The front as a whole. `since` is an ISO time, `rss` is in bytes. */
export interface FrontStatus {
  pid: number;
  version: string;
  since: string;
  rss: number;
  routes: RouteStatus[];
}

/** How a drain ended. */
export interface Drained {
  /** Requests that were left when the time was over; they were cut. */
  requests: number;
  /** Upgraded connections that were closed. */
  tunnelsClosed: number;
}

/** A route to be made or changed; without `target` the one it has stays. */
export type RouteChange = Omit<Route, "target"> & { target?: Target | null };

export interface Front {
  readonly name: string;
  readonly summary: string;
  /** False: the app listens on the public port itself. */
  readonly holdsPort: boolean;
  /** Why this host cannot use it, or null when it can. */
  unavailable(): Promise<string | null>;
  /** Makes the front run and hold the app's port; keeps the target. Answers one sentence for each change. */
  setup(route: Omit<Route, "target">, io: Io): Promise<string[]>;
  /** What of the front as a whole is not as `setup` would make it now: one sentence each. */
  drift?(): Promise<string[]>;
  /** From the moment this returns every request goes to the target; null: 503. Durable. */
  point(app: string, target: Target | null, io: Io): Promise<void>;
  /** Requests wait from now on, `limit` ms at most. */
  hold(app: string, limit: number, io: Io): Promise<void>;
  /** Requests that wait go to the target. Safe when it is not held. */
  resume(app: string, io: Io): Promise<void>;
  /** Waits until nothing is under way on a release, `timeout` ms at most; then cuts what is left. */
  drain(app: string, id: string, timeout: number, io: Io): Promise<Drained>;
  /** How the app's route is doing; null: the front does not know the app. */
  status(app: string): Promise<RouteStatus | null>;
  /** Lets go of the app's port. Safe to repeat. */
  remove(app: string, io: Io): Promise<void>;
}
