// What an app type is: how one kind of app is recognised, installed and started.
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
  /** The release's own name, `42-3f9c2ab`. */
  id: string;
  /** The app's base folder, and the release's folder below it. */
  base: string;
  release: string;
  /** Where the app's own files are: the release's folder, or one inside it. */
  folder: string;
  config: DeployConfig;
  /** The files of that folder in the commit, read from git: never through what a build may have put in its place. */
  tree: Tree;
  /** All files of the commit, where that folder is only a part of it. */
  commit?: Tree | undefined;
  /** The system user that builds, or runs a hook; undefined when dp does not run as root. */
  user: string | undefined;
  /** The system user that runs the app, and may read what was built. */
  reader: string | undefined;
  /** What a build or hook may write to in the app's base, see walls.ts. */
  opens: readonly string[];
  /** The environment of builds and of the app: the env file, PATH, HOME, DP_*. */
  env: Record<string, string>;
  /** What config.yml says under the keys of app types and managers, by name. */
  operator?: Readonly<Record<string, unknown>>;
  /** Milliseconds that one command of the build may take. */
  timeout: number;
  /** What the operator allows such a command. */
  build?: Limits | undefined;
}

/** What `install` leaves for the steps after it. A fact: it is saved in the run file. */
export interface Runtime {
  /** Folders that come first on PATH, absolute. */
  path: string[];
  /** More variables for build, hooks and the app. */
  env: Record<string, string>;
  /** Where installed dependencies are kept for this release and others, absolute; null when they are not. */
  dependencies: string | null;
  /** The interpreter that it runs on; not known of a release of an older dp, and none for some types. */
  interpreter?: FoundRuntime | undefined;
}

/** An interpreter that is installed: `{name: "node", version: "20.11.1", program: "/usr/bin/node"}`. */
export interface FoundRuntime {
  name: string;
  version: string;
  /** Absolute. */
  program: string;
}

/** Who looks for programs, and with which environment. */
export type Seeker = Pick<Place, "user" | "env" | "base" | "folder">;

/** What apps of a type run on: how it is found, and how another version of it comes to the server. */
export interface Runtimes {
  /** `python`, as it is typed. */
  readonly name: string;
  /** A version to name as an example. */
  readonly example: string;
  /** Every one that such an app could have. */
  find(seeker: Seeker, io: Io): Promise<FoundRuntime[]>;
  /**
   * Brings a version, as it is typed, below the folder of runtimes; nothing is left there when it fails. Safe to repeat.
   * Throws DpError "usage" for what is no version, "host" or "command" when it cannot be had.
   */
  install(wanted: string, io: Io): Promise<FoundRuntime>;
}

/** What `dp init` learns from a folder. */
export interface Detected {
  /** The start command to propose, or null when the default will do. */
  command: string | null;
  /** The path to ask whether it is healthy; default: as its code says. */
  healthCheck?: string;
  /** Lines of deploy.yml that the type needs, in place of a command. */
  settings?: string;
  /** Why this type was chosen: "requirements.txt". */
  because: string;
}

export interface AppType {
  readonly name: string;
  readonly summary: string;
  /** What runs its instances, when that is not the manager of config.yml; named like the type. */
  readonly manager?: Manager;
  /** Lines of deploy.yml that each app of this type needs, for one whose files do not say them. */
  readonly settings?: string;
  /** True: what is shared is mounted by root, by its path; so the folders on the way must not be the app's to change. */
  readonly mountsShared?: boolean;
  /** What its apps run on, for `dp runtimes`. */
  readonly runtimes?: Runtimes;
  /** Throws DpError "host" when this server lacks what all its apps need, an engine; asked before each deploy. */
  requireHost?(): Promise<void>;
  /** Recognises a folder of this type; null when it is not one. */
  detect(tree: Tree): Promise<Detected | null>;
  /** Installs what the app depends on. Safe to repeat. Throws DpError "command" with the installer's words. */
  install(place: Place, io: Io): Promise<Runtime>;
  /** Builds the release, in place of the step, which runs `build` of deploy.yml. Safe to repeat. */
  build?(place: Place, io: Io): Promise<void>;
  /** The bytes that a build since a moment, in ms, has put elsewhere than below the app's base folder. Default: none. */
  builtElsewhere?(place: Place, since: number, io: Io): Promise<number>;
  /** Looks at what was built, or is there without a build. Throws DpError "config" for what can never be healthy. */
  inspect?(place: Place): void;
  /** The shell line that starts the web process when deploy.yml names none, empty for an image's own; throws DpError "config". */
  command(place: Place, runtime: Runtime): Promise<string>;
  /** Variables by which servers of this type that are told nothing else listen where they should; settings count more. */
  listenVariables?(host: string, port: number): Record<string, string>;
  /** Runs a hook, when that is not the app's user's shell in the release's folder. Throws DpError "command". */
  runHook?(line: string, place: Place, io: Io): Promise<void>;
  /** Ends what a hook of that release left running when its deploy was killed, where that is no process of the app's user. */
  endHook?(name: InstanceName): Promise<void>;
  /** Runs a one-off command by starting some other one with `run`; answers its exit code. Default: the command itself. */
  runOnce?(
    argv: readonly string[],
    place: Place,
    hasTerminal: boolean,
    run: (child: Foreground) => Promise<number>,
  ): Promise<number>;
  /** Removes installed dependencies that none of the `kept` runtimes uses; answers the folders removed. */
  prune(place: Pick<Place, "app" | "base" | "user">, kept: readonly Runtime[], io: Io): Promise<string[]>;
}
