// An instance: one process of a release that is started, watched and logged under its own name.
import type { Ended } from "./process/ending.ts";

/** One process of a release of an app: `APP@ID`. */
export interface InstanceName {
  app: string;
  /** `42-3f9c2ab`, `42-3f9c2ab.worker.2` or, for a job that runs once, `42-3f9c2ab.cron.cleanup`: see paths.ts. */
  id: string;
}

/** What a process is started from. */
export interface Startable extends InstanceName {
  /** The folder that it starts in, absolute: in the release itself, never through `current`. */
  folder: string;
  /** A shell line, run by the app's user; empty: what an image starts by itself. */
  command: string;
  /** The whole environment; PORT is in that of a web process. */
  env: Record<string, string>;
  user: string | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
}

export interface InstanceStatus {
  /** "waiting" is between a crash and the next start. */
  state: "running" | "waiting" | "failed" | "stopped";
  /** The main process, or null. */
  pid: number | null;
  /** How often it was started again after a crash. */
  restarts: number;
  /** When the running process was started, ISO 8601, or null. */
  since: string | null;
  /** What is to say of it, for people: "exited with 3", "killed by SIGKILL"; empty while all is well. */
  detail: string;
  /** How it ended last, when it has, and that is known. */
  ended?: Ended;
  /** It runs, and nobody looks after it any more: `adopt` mends that. */
  isOrphan?: boolean;
  /** An image's own health check says that it is not well, while it runs. */
  isUnhealthy?: boolean;
}

export interface LogOptions {
  /** How many of the last lines. */
  lines: number;
  follow: boolean;
  /** Only lines from then on, ms since 1970. A manager may leave it to its caller, and hand over older ones too. */
  since?: number | undefined;
  /** `time`: when the line was written, ISO 8601, where that is known. */
  onLine(line: string, time?: string | null): void;
}

/** What a manager needs to know of an app once, at setup. */
export interface ManagedApp {
  app: string;
  base: string;
  user: string | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** PATH of the server's own programs. Default: the system's folders. */
  path?: string | undefined;
}
