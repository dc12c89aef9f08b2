// The contract of an app type: how one kind of app is recognised, installed and started.
import type { Io } from "../host/io.ts";
import type { Manager } from "./manager.ts";
import type { Foreground } from "../host/process/terminal.ts";
import type { Tree } from "../git/tree.ts";
import type { Limits } from "../host/process/confine.ts";
import type { InstanceName } from "../host/instance.ts";
import type { DeployConfig } from "../config/types.ts";

/** Everything an app type may know about the release it works on. Paths are absolute. */
export interface Place {
  app: string;
  /** The release's id, `42-3f9c2ab`. */
  id: string;
  /** The app's base folder, and the release's folder below it. */
  base: string;
  release: string;
  /** The folder of the app's own files: the release's folder, or one inside it. */
  folder: string;
  config: DeployConfig;
  /** The files of that folder in the commit, read from git: a build may have replaced those on disk. */
  tree: Tree;
  /** All files of the commit, when the app's folder is only a part of it. */
  commit?: Tree | undefined;
  /** The system user that builds, or runs a hook; undefined when dp does not run as root. */
  user: string | undefined;
  /** The system user that runs the app, and may read what was built. */
  reader: string | undefined;
  /** Paths in the app's base that a build or hook may write to, see walls.ts. */
  opens: readonly string[];
  /** The environment of the build and of the app: the env file, PATH, HOME, DP_*. */
  env: Record<string, string>;
  /** The settings of app types and managers in config.yml, by name. */
  operator?: Readonly<Record<string, unknown>>;
  /** The time limit of one build command, in ms. */
  timeout: number;
  /** The limits that the operator sets for build commands. */
  build?: Limits | undefined;
}

/** What `install` records for the steps after it. A fact: it is saved in the run file. */
export interface Runtime {
  /** Folders that come first on PATH, absolute. */
  path: string[];
  /** More variables for build, hooks and the app. */
  env: Record<string, string>;
  /** The folder of installed dependencies, absolute, which other releases may share; null when there is none. */
  dependencies: string | null;
  /** The interpreter that the app runs on. Missing for releases of an older dp and for types without one. */
  interpreter?: FoundRuntime | undefined;
}

/** An installed interpreter: `{name: "node", version: "20.11.1", program: "/usr/bin/node"}`. */
export interface FoundRuntime {
  name: string;
  version: string;
  /** Absolute. */
  program: string;
}

/** The user and environment with which programs are looked for. */
export type Seeker = Pick<Place, "user" | "env" | "base" | "folder">;

/** The runtimes of an app type: how they are found, and how another version is installed on the server. */
export interface Runtimes {
  /** The name as it is typed: `python`. */
  readonly name: string;
  /** An example of a version, for messages. */
  readonly example: string;
  /** Every runtime on the server that such an app could use. */
  find(seeker: Seeker, io: Io): Promise<FoundRuntime[]>;
  /**
   * Installs a version, named as it is typed, below the folder of runtimes; leaves nothing there when it fails. Safe to
   * repeat. Throws DpError "usage" when `wanted` is not a version, "host" or "command" when it cannot be installed.
   */
  install(wanted: string, io: Io): Promise<FoundRuntime>;
}

/** A release that another app has built: `{app: "shop-staging", id: "5-3f9c2ab", isHere: true}`. */
export interface Built {
  app: string;
  id: string;
  /** Whether that app is on this server. */
  isHere: boolean;
  /** The interpreter that it was built with. */
  interpreter: Pick<FoundRuntime, "name" | "version"> | null;
}

/** What `dp init` detects in a folder. */
export interface Detected {
  /** The start command to propose, or null when the default is right. */
  command: string | null;
  /** The health check path to propose. Default: found in the app's code. */
  healthCheck?: string;
  /** The Host header that the health check must send. */
  host?: string;
  /** Lines of deploy.yml that this app needs in place of a command. */
  settings?: string;
  /** Why this type was chosen: "requirements.txt". */
  because: string;
  /** What the app still lacks to be served, one sentence each. */
  advice?: readonly string[];
}

export interface AppType {
  readonly name: string;
  readonly summary: string;
  /** The manager of the type's instances, when it is not the one in config.yml; named like the type. */
  readonly manager?: Manager;
  /** Lines of deploy.yml that every app of this type needs, for files that `detect` does not recognise. */
  settings?(tree: Tree): Promise<string>;
  /** True: root mounts the shared paths, so the app must not be able to change the folders above them. */
  readonly mountsShared?: boolean;
  /** True: settings count when a release is built, and no process reads them. */
  readonly takesSettingsAtBuild?: boolean;
  /** The runtimes of its apps, for `dp runtimes`. */
  readonly runtimes?: Runtimes;
  /** The range of versions of that runtime that the commit asks for, for a server that may have none; null: none needed. */
  wishedRuntime?(place: Pick<Place, "tree" | "config" | "commit">): Promise<string | null>;
  /** Debian's packages that its apps need, each with a shell line that succeeds where it is there, for `dp launch`. */
  readonly packages?: Readonly<Record<string, string>>;
  /**
   * Throws DpError "host" when this server lacks something that all its apps need, such as an engine. Called before each
   * deploy.
   */
  requireHost?(): Promise<void>;
  /** Recognises a folder of this type; returns null for any other. */
  detect(tree: Tree): Promise<Detected | null>;
  /**
   * The folder, below the app's base, in which dependencies lie as folders of their own that other servers may get as
   * they are, each with notes beside it: KEY, KEY.json once it is complete, KEY.txt.
   */
  store?(base: string): string;
  /** Installs the app's dependencies. Safe to repeat. Throws DpError "command" with the installer's output. */
  install(place: Place, io: Io): Promise<Runtime>;
  /**
   * Whether a release that another app has built, whose files are in the release's folder, can be used as it is: then its
   * runtime, null for one that `install` makes; otherwise a reason, and it is built from the commit. Without this
   * function it is always built.
   */
  adopt?(place: Place, built: Built, io: Io): Promise<{ runtime: Runtime | null } | string>;
  /** Whether the commit has a build of its own, without `build` in deploy.yml. Default: none. */
  hasBuild?(place: Pick<Place, "tree" | "config" | "commit">): Promise<boolean>;
  /** Builds the release instead of the step, which runs `build` from deploy.yml. Safe to repeat. */
  build?(place: Place, io: Io): Promise<void>;
  /** The bytes that a build has written outside the app's base folder since a time in ms. Default: none. */
  builtElsewhere?(place: Place, since: number, io: Io): Promise<number>;
  /**
   * Checks the result of the build, or the files when there is no build, before a hook runs. Throws DpError "config" when it
   * can never be healthy.
   */
  inspect?(place: Place, runtime: Runtime): void | Promise<void>;
  /**
   * The shell line that starts the web process when deploy.yml has none; empty: the image's own command. Throws DpError
   * "config".
   */
  command(place: Place, runtime: Runtime): Promise<string>;
  /** Variables that make common servers of this type listen on host and port; the app's own settings take precedence. */
  listenVariables?(host: string, port: number): Record<string, string>;
  /** Runs a hook. Default: in a shell of the app's user in the release's folder. Throws DpError "command". */
  runHook?(line: string, place: Place, io: Io): Promise<void>;
  /** Ends what a killed deploy's hook left running, when hooks do not run as processes of the app's user. */
  endHook?(name: InstanceName): Promise<void>;
  /**
   * Runs a one-off command through another command, started with `run`; returns its exit code. Default: runs the command
   * itself.
   */
  runOnce?(
    argv: readonly string[],
    place: Place,
    hasTerminal: boolean,
    run: (child: Foreground) => Promise<number>,
  ): Promise<number>;
  /** Removes installed dependencies that none of the `kept` runtimes uses; returns the removed folders. */
  prune(place: Pick<Place, "app" | "base" | "user">, kept: readonly Runtime[], io: Io): Promise<string[]>;
}
