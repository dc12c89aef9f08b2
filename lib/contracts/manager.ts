// What a process manager is: whatever starts, stops and watches the instances of an app.
import type { DeployConfig } from "../config/config.ts";
import type { Io } from "../host/io.ts";

/** One process of a release of an app: `APP@ID`. */
export interface InstanceName {
  app: string;
  /** `42-3f9c2ab`, `42-3f9c2ab.worker.2` or, for a job that runs once, `42-3f9c2ab.cron.cleanup`: see paths.ts. */
  id: string;
}

/** All that a manager needs to start an instance. */
export interface Instance extends InstanceName {
  /** The folder that it starts in, absolute: in the release itself, never through `current`. */
  folder: string;
  /** deploy.yml of its commit. */
  config: DeployConfig;
  /** A shell line, run by the app's user; empty: what an image starts by itself. */
  command: string;
  /** The whole environment; PORT is in that of a web process. */
  env: Record<string, string>;
  user: string | undefined;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** PATH of the server's own programs, without the app's folders. Default: the system's folders. */
  path?: string | undefined;
  /** How many processes share the port, for managers that can do that. Default: 1. */
  workers?: number | undefined;

  /** What the operator allows a container; other managers have their own place for that. */
  limits?: Limits | undefined;
}

/** At most this much of the machine for one container. */
export interface Limits {
  /** "512m", "2g"; no limit without it. */
  memory?: string;
  /** "1.5" of its processors; no limit without it. */
  cpus?: string;
  /** Processes and threads. */
  pids?: number;
}

/** How a network of its own is reached. */
export interface Published {
  /** Ports of this machine that lead to the instance. */
  ports: number[];
  /** Where its processes listen, inside. */
  listening: { port: number; address: string }[];
  /** The port inside that they must listen on. */
  inside: number | null;
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
  /** How it ended last: "exited with 3", "killed by SIGKILL"; empty while all is well. */
  detail: string;
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

export interface Manager {
  readonly name: string;
  readonly summary: string;
  /** Why this host, with its programs on `path`, cannot use it ("systemd does not run here"), or null when it can. */
  unavailable(path?: string): Promise<string | null>;
  /** Puts in place what every instance of the app shares; answers one sentence for each change. */
  setup(app: ManagedApp, io: Io): Promise<string[]>;
  /** `start` will be called for it soon: what that needs gets ready meanwhile, and ends by itself when it is not called. */
  prepare?(name: InstanceName): void;
  /**
   * Starts the instance afresh, whatever its history of crashes; a job is not started again when it ends, and only
   * code 0 is a good end of it. Throws DpError "command" when it cannot.
   */
  start(instance: Instance, io: Io): Promise<void>;
  /** Stops the instance and everything it started; returns when all of it is gone. Safe to repeat. */
  stop(name: InstanceName, io: Io): Promise<void>;
  status(name: InstanceName): Promise<InstanceStatus>;
  /** Looks after an instance again that runs and is an orphan, without ending it; answers whether it was one. */
  adopt?(name: InstanceName, io: Io): Promise<boolean>;
  /** The processes of the instance, all of them. */
  pids(name: InstanceName): Promise<number[]>;
  /** How the instance is reached when it has a network of its own; null, or left out: by its processes' own sockets. */
  published?(name: InstanceName): Promise<Published | null>;
  /** IDs of the instances of the app that run, wait for a restart, or failed: web processes, others and jobs. */
  instances(app: string): Promise<string[]>;
  /** Exactly these instances come up at boot. Answers whether anything changed. */
  enable(app: string, ids: readonly string[], io: Io): Promise<boolean>;
  /** What comes up at boot, in any order. */
  enabled(app: string): Promise<string[]>;
  /** The files of `setup` that are not as it would write them now: one sentence each. */
  drift?(app: ManagedApp): Promise<string[]>;
  /** Removes what `start` kept of an instance that is stopped. Safe to repeat. */
  forget(name: InstanceName, io: Io): Promise<void>;
  /** Takes away what `setup` put in place, when no instance is left; one sentence for each change. Safe to repeat. */
  remove?(app: string, io: Io): Promise<string[]>;
  /** The app's own output, oldest line first. With `follow` it returns when `io.signal` is aborted. */
  logs(name: InstanceName, options: LogOptions, io: Io): Promise<void>;
}
