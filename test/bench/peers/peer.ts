// A way to deploy by a push that dp is measured beside: what it needs on a fresh Debian, and how it is set up there.
import type { Laptop } from "../../support/server-laptop.ts";
import type { Server } from "../../support/server-box.ts";

/** The booted server that all peers are on, and what was typed about them. */
export interface Ground {
  box: Server;
  /** The repository of piku, for `git clone`. */
  piku: string;
}

/** An app as a peer deploys it. */
export interface App {
  /** The files of the app that answers `say`. */
  files(say: string): Record<string, string>;
  /** What is typed to deploy the newest commit; settles when that has returned, and throws when it failed. */
  push(): Promise<unknown>;
  /** What is typed to go back to the release before; null when there is no such thing. */
  back: (() => Promise<unknown>) | null;
}

/** Where an app of a peer comes from, and where it answers. */
export interface Place {
  /** The working copy; its remote is the app's repository as dp names it. */
  laptop: Laptop;
  /** The public port on 127.0.0.1. */
  port: number;
}

/** An app that is live. */
export type Deployed = App & Place;

/** One way. */
export interface Peer {
  name: string;
  /** The app's name. */
  app: string;
  /** Debian's packages that it needs on the server. */
  packages: readonly string[];
  /** Sets an app up, ready for its first push. Throws when the peer cannot be had. */
  open(ground: Ground, place: Place): Promise<App>;
}
