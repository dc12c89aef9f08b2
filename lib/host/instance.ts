// An instance: one process of a release that is started, watched and logged under its own name.
import type { Ended } from "./process/ending.ts";

/** One process of a release of an app: `APP@ID`. */
export interface InstanceName {
  app: string;
  /** `42-3f9c2ab`, `42-3f9c2ab.worker.2` or, for a scheduled job, `42-3f9c2ab.cron.cleanup`: see paths.ts. */
  id: string;
}

/** Everything that is needed to start a process. */
export interface Startable extends InstanceName {
  /** The working folder, absolute: in the release itself, never through `current`. */
  folder: string;
  /** A shell line, run by the app's user; empty: the image's own command. */
  command: string;
  /** The whole environment; for a web process it includes PORT. */
  env: Record<string, string>;
  user: string | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
}

export interface InstanceStatus {
  /** "waiting": between a crash and the next start. */
  state: "running" | "waiting" | "failed" | "stopped";
  /** The main process, or null. */
  pid: number | null;
  /** The number of restarts after crashes. */
  restarts: number;
  /** When the running process was started, ISO 8601, or null. */
  since: string | null;
  /** The status in words: "exited with code 3", "killed by SIGKILL"; empty while all is well. */
  detail: string;
  /** How it last ended, if it has ended and that is known. */
  ended?: Ended;
  /** It is running without a supervisor: `adopt` repairs that. */
  isOrphan?: boolean;
  /** Whether the image's own health check fails, while it is running; undefined: it has none. */
  isUnhealthy?: boolean;
}

export interface LogOptions {
  /** The number of last lines. */
  lines: number;
  follow: boolean;
  /** Only lines since this time, in ms since 1970. A manager may also pass on older lines; the caller then drops them. */
  since?: number | undefined;
  /** `time`: when the line was written, in ISO 8601, if that is known. */
  onLine(line: string, time?: string | null): void;
}

/** What a manager needs to know about an app at setup. */
export interface ManagedApp {
  app: string;
  base: string;
  user: string | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** PATH of the server's own programs. Default: the system's folders. */
  path?: string | undefined;
  /** The settings of app types and managers in config.yml, by name. */
  operator?: Readonly<Record<string, unknown>>;
}
