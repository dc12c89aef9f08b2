// A way to deploy by a push that dp is measured beside: what it needs on a fresh Debian, and how it is set up there.
import type { Laptop } from "../../support/server-laptop.ts";
import type { Server } from "../../support/server-box.ts";

/** The booted server that all peers are on, and what was typed about them. */
export interface Ground {
  box: Server;
  /** The repository of piku, for `git clone`. */
  piku: string;
}

/** An app that a peer has deployed. */
export interface Deployed {
  /** The public port on 127.0.0.1. */
  port: number;
  /** The working copy that is pushed. */
  laptop: Laptop;
  /** The files of the app that answers `say`. */
  files(say: string): Record<string, string>;
  /** What is typed to deploy the newest commit; settles when that has returned, and throws when it failed. */
  push(): Promise<unknown>;
  /** What is typed to go back to the release before; null when there is no such thing. */
  back: (() => Promise<unknown>) | null;
}

/** One way. */
export interface Peer {
  name: string;
  /** Debian's packages that it needs on the server. */
  packages: readonly string[];
  /** Sets an app up, ready for its first push. Throws when the peer cannot be had. */
  open(ground: Ground): Promise<Deployed>;
}
