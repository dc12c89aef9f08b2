// What a process manager is: whatever starts, stops and watches the instances of an app.
import type { InstanceName, InstanceStatus, LogOptions, ManagedApp, Startable } from "../host/instance.ts";
import type { Io } from "../host/io.ts";
import type { DeployConfig } from "../config/types.ts";
import type { TreeEntry } from "../git/entries.ts";

/** The release that an instance follows. */
export interface Predecessor {
  id: string;
  /** Its release's folder. */
  folder: string;
  /** deploy.yml of its commit; null: its run file is gone or damaged. */
  config: DeployConfig | null;
}

/** All that a manager needs to start an instance. */
export interface Instance extends Startable {
  /** deploy.yml of its commit. */
  config: DeployConfig;
  /** PATH of the server's own programs, without the app's folders. Default: the system's folders. */
  path?: string | undefined;
  /** How many processes share the port, for managers that can do that. Default: 1. */
  workers?: number | undefined;
  /** What config.yml says under the keys of app types and managers, by name. */
  operator?: Readonly<Record<string, unknown>>;
  /** The release that served until now, for managers that keep something of it; null: there was none. */
  predecessor?(): Promise<Predecessor | null>;
  /** The files of its commit, for managers that ask who made a file. */
  committed?(): Promise<readonly TreeEntry[]>;
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

export interface Manager {
  readonly name: string;
  readonly summary: string;
  /** Why this host, with its programs on `path`, cannot use it ("systemd does not run here"), or null when it can. */
  unavailable(path?: string): Promise<string | null>;
  /** Puts in place what every instance of the app shares; answers one sentence for each change. */
  setup(app: ManagedApp, io: Io): Promise<string[]>;
  /** Throws DpError "config" for an instance that it could never start; asked before anything is stopped for it. */
  requireStartable?(instance: Instance): void | Promise<void>;
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
  /** The user who listens on an instance's port, by uid, where that is not the app's own; null: it is not known. */
  owner?(name: InstanceName, port: number): Promise<number | null>;
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
