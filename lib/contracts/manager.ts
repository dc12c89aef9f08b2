// The contract of a process manager: it starts, stops and watches the instances of an app.
import type { InstanceName, InstanceStatus, LogOptions, ManagedApp, Startable } from "../host/instance.ts";
import type { Io } from "../host/io.ts";
import type { DeployConfig, ServerConfig } from "../config/types.ts";
import type { Front } from "./front.ts";
import type { TreeEntry } from "../git/entries.ts";

/** The release that served before the one of an instance. */
export interface Predecessor {
  id: string;
  /** The release's folder. */
  folder: string;
  /** deploy.yml of its commit; null: its run file is missing or damaged. */
  config: DeployConfig | null;
}

/** What an instance runs on, besides its release. */
export interface RunsOn {
  /** Folders that come first on its PATH, absolute. */
  path: readonly string[];
  /** The folder of its dependencies, absolute, or null. */
  dependencies: string | null;
  interpreter?: { name: string; version: string; program: string } | undefined;
}

/** Everything that a manager needs to start an instance. */
export interface Instance extends Startable {
  /** deploy.yml of its commit. */
  config: DeployConfig;
  /** PATH of the server's own programs, without the app's folders. Default: the system's folders. */
  path?: string | undefined;
  /** For managers that take it to other servers. */
  runsOn?: RunsOn;
  /** How many processes share the port, for managers that support it. Default: 1. */
  workers?: number | undefined;
  /** What the web process speaks. Default: http. */
  protocol?: "http" | "tcp" | undefined;
  /** The settings of app types and managers in config.yml, by name. */
  operator?: Readonly<Record<string, unknown>>;
  /** The release that served until now, for managers that keep part of it; null: there was none. */
  predecessor?(): Promise<Predecessor | null>;
  /** `settle` is called before anybody else may start, stop or adopt it: whatever protects it may come that late. */
  isAhead?: boolean;
  /** The files of its commit, for managers that must know which files come from it. */
  committed?(): Promise<readonly TreeEntry[]>;
}

/** How an instance in its own network namespace is reached. */
export interface Published {
  /** Ports of this machine that are forwarded to the instance. */
  ports: number[];
  /** Where its processes listen, inside the namespace. */
  listening: { port: number; address: string }[];
  /** The port on which they must listen, inside the namespace. */
  inside: number | null;
}

export interface Manager {
  readonly name: string;
  readonly summary: string;
  /** The app types whose instances it runs, in place of a type's own manager, too; it runs no others. Default: all types that have none of their own. */
  readonly types?: readonly string[];
  /** True: each instance has a network of its own, and must listen on all its addresses to be reached. */
  readonly ownNetwork?: boolean;
  /**
   * Why the manager cannot be used on this host with its programs on `path` ("systemd does not run here"), or null when
   * it can.
   */
  unavailable(path?: string): Promise<string | null>;
  /**
   * The front of an app whose requests come in on other servers, too, by these settings; missing, or the front itself: they
   * come in by the front alone. Asked only when config.yml has settings of the manager.
   */
  extend?(front: Front, server: ServerConfig): Front;
  /** Makes what all instances of the app share; returns one sentence for each change. */
  setup(app: ManagedApp, io: Io): Promise<string[]>;
  /** Throws DpError "config" for an instance that could never start. Called before anything is stopped for it. */
  requireStartable?(instance: Instance): void | Promise<void>;
  /**
   * Announces the first `start` of an instance of a release whose folder is there, so that slow parts can get ready in
   * advance. `unprepare` ends them when `start` is not called; without one they end by themselves.
   */
  prepare?(announced: InstanceName & { user?: string | undefined }): void;
  /** Whether `prepare` takes long, most of it without a processor: it is called when the folder is made, and still empty. */
  preparesLong?: boolean;
  /** Whether `start` takes over what this process has prepared: a `stop` before would end it. */
  isPrepared?(name: InstanceName): boolean;
  /** Ends what any process has prepared for an instance that was not started. Safe to repeat. */
  unprepare?(name: InstanceName, io: Io): Promise<void>;
  /** Announces that this process may start instances of many apps, this one's too: what watches them may be one for all. */
  expectMany?(app: string): void | Promise<void>;
  /**
   * Has everything protected that this process has started ahead, for any app. Answers false when something of it was
   * killed before: instances may be orphans, or have ended.
   */
  settle?(): Promise<boolean>;
  /**
   * Starts the instance afresh, whatever its history of crashes. A job is not restarted when it ends, and only code 0 is
   * a success. Throws DpError "command" when the instance cannot be started.
   */
  start(instance: Instance, io: Io): Promise<void>;
  /** Stops the instance and everything it started; returns when all of it is gone. Safe to repeat. */
  stop(name: InstanceName, io: Io): Promise<void>;
  status(name: InstanceName): Promise<InstanceStatus>;
  /** Watches a running orphan again without restarting it; returns whether it was an orphan. */
  adopt?(name: InstanceName, io: Io): Promise<boolean>;
  /** All processes of the instance. */
  pids(name: InstanceName): Promise<number[]>;
  /**
   * How an instance in its own network namespace is reached; null, or no such function: through its processes' own
   * sockets.
   */
  published?(name: InstanceName): Promise<Published | null>;
  /** The uid of the user who listens on an instance's port, when it is not the app's own; null: it is not known. */
  owner?(name: InstanceName, port: number): Promise<number | null>;
  /**
   * IDs of the app's instances that are running, waiting for a restart or failed, of every kind: web, other processes and
   * jobs.
   */
  instances(app: string): Promise<string[]>;
  /**
   * Each of `instances` with its status, in one look; `files` are the names in the app's folder `instances`. Missing: they
   * are asked one by one.
   */
  states?(app: string, files: readonly string[]): Promise<Map<string, InstanceStatus>>;
  /** Makes exactly these instances start at boot. Returns whether anything changed. */
  enable(app: string, ids: readonly string[], io: Io): Promise<boolean>;
  /** The IDs of the instances that start at boot, in any order. */
  enabled(app: string): Promise<string[]>;
  /** One sentence for each file of `setup` that it would write differently now. */
  drift?(app: ManagedApp): Promise<string[]>;
  /** Removes what `start` kept for a stopped instance. Safe to repeat. */
  forget(name: InstanceName, io: Io): Promise<void>;
  /** Removes what only releases needed whose folders are gone; answers what, in words. A failure is a warning. */
  prune?(app: string, io: Io): Promise<string[]>;
  /** Removes what `setup` made, when no instance is left; returns one sentence for each change. Safe to repeat. */
  remove?(app: string, io: Io): Promise<string[]>;
  /** The app's own output, oldest line first. With `follow` it returns when `io.signal` is aborted. */
  logs(name: InstanceName, options: LogOptions, io: Io): Promise<void>;
}
