// Every path that dp uses, and the check of an app's name before it is used in a path, a unit or an argv.
import { join } from "node:path";
import { DpError } from "./errors.ts";

// Names for which `NAME@.service` or the user `dp-NAME` would belong to somebody else.
const RESERVED = new Set([
  "autovt",
  "container-getty",
  "dbus",
  "dp",
  "getty",
  "git",
  "haproxy",
  "notify",
  "relay",
  "root",
  "ssh",
  "sshd",
  "static",
  "systemd",
  "user",
]);
const NAME = /^[a-z](?:-?[a-z0-9]){0,27}$/;

/**
 * The name of an app, checked: a lower-case letter, then letters, digits and single dashes, at most 28 characters (the
 * app's user is `dp-NAME`, and Linux limits user names to 32). Throws DpError "usage".
 */
export function appName(name: string): string {
  if (isAppName(name)) return name;
  const why = RESERVED.has(name)
    ? "is reserved"
    : "must start with a lower-case letter, then letters, digits and single dashes, at most 28 characters";
  throw new DpError("usage", `app name ${JSON.stringify(name)} ${why}`);
}

/** Whether an app may have that name. */
export const isAppName = (name: string) => NAME.test(name) && !RESERVED.has(name);

/** The folder that stands for "/": DP_ROOT, or "" on a server. Throws DpError "usage" when DP_ROOT is relative. */
export function root(): string {
  const dir = process.env["DP_ROOT"] ?? "";
  if (dir !== "" && !dir.startsWith("/"))
    throw new DpError("usage", `DP_ROOT must be an absolute path, not ${JSON.stringify(dir)}`);
  return dir.replace(/\/+$/, "");
}

/** A suffix that keeps names on one machine apart when several servers live in folders: "" without DP_ROOT. */
export const realm = () =>
  root() === "" ? "" : `-${new Bun.CryptoHasher("sha256").update(root()).digest("hex").slice(0, 8)}`;

/** On a server itself, without DP_ROOT: the folder that holds every app's base folder, and that of the repositories. */
export const SERVER = { deployments: "/opt/deployments", repositories: "/var/repos" } as const;

/** The folder that holds every app's base folder. */
export const deployments = () => `${root()}${SERVER.deployments}`;
/** The folder of the runtimes that `dp runtimes install` installs, for all apps. */
export const runtimes = () => `${root()}/opt/dp-runtimes`;
/** The folder that holds every app's bare repository. */
export const repositories = () => `${root()}${SERVER.repositories}`;

/** The folder of what git obeys when dp serves it. */
export const gitFolder = () => `${root()}/var/lib/dp/git`;

/** The places of one app; every path is absolute. */
export interface Places {
  app: string;
  base: string;
  repo: string;
  /** releases/ID: the files of each release. */
  releases: string;
  current: string;
  previous: string;
  /** runs/ID.json: one run file for each deploy. */
  runs: string;
  /** ID.log: the output of a deploy. */
  logs: string;
  /** The operator's config.yml. */
  config: string;
  /** What managers keep for an instance: its environment and start script. */
  instances: string;
  /** Shared files: kept between releases, writable by the app. */
  shared: string;
  /** The HOME of the app's user, with caches of pip and the like. */
  home: string;
  /** The lock file: its holder may change the app. Never removed. */
  lock: string;
}

/** The places of each app, by DP_ROOT and name: a command asks for the same ones again and again. */
const known = new Map<string, Readonly<Places>>();

/** The places of an app, under DP_ROOT when it is set. Throws DpError "usage" for a bad name. */
export function places(name: string): Readonly<Places> {
  const key = `${root()}\0${name}`;
  const found = known.get(key) ?? placesOf(appName(name));
  known.set(key, found);
  return found;
}

function placesOf(app: string): Places {
  const base = join(deployments(), app);
  return {
    app,
    base,
    repo: join(repositories(), `${app}.git`),
    releases: `${base}/releases`,
    current: `${base}/current`,
    previous: `${base}/previous`,
    runs: `${base}/runs`,
    logs: `${root()}/var/log/deployments/${app}`,
    config: `${base}/config.yml`,
    instances: `${base}/instances`,
    shared: `${base}/shared`,
    home: `${base}/home`,
    lock: `${base}/lock`,
  };
}

/** The PATH for programs when config.yml has no `path`. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The address at which this machine reaches the app's public port. */
export function publicAddress({ host }: { host: string }): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host;
}
