// The instances of a release: its web process, and the others at their scale.
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { instanceId } from "../text/ids.ts";
import type { DeployConfig, ServerConfig } from "../config/types.ts";

/**
 * Whether a release listens on a port: only then it has a health check, a front and a switch without failed requests.
 */
export const hasWeb = (config: DeployConfig) => config.healthCheck !== undefined;

/** How many instances of a process should run. */
export const scaleOf = (process: string, { scale }: Pick<ServerConfig, "scale">) => scale[process] ?? 1;

/** The names of a release's processes, web first. */
export const processNames = (config: DeployConfig) => [
  ...(hasWeb(config) ? ["web"] : []),
  ...Object.keys(config.processes),
];

/** A sentence for each process that config.yml names and the commit has not. */
export function strayNames(
  config: DeployConfig,
  { scale }: Pick<ServerConfig, "scale">,
  roles: ServerConfig["roles"] = {},
): string[] {
  const known = [...processNames(config), "cron"];
  const strays = (named: object) => Object.keys(named).filter((name) => !known.includes(name));
  return [
    ...strays(scale).map((process) => `config.yml scales ${process}, but the commit has no such process`),
    ...strays(roles).map((process) => `config.yml has a role for ${process}, but the commit has no such process`),
  ];
}

/** The instances of a release other than web, at their scale. */
export function otherIds(release: string, config: DeployConfig, server: Pick<ServerConfig, "scale">): string[] {
  return Object.keys(config.processes).flatMap((process) =>
    Array.from({ length: scaleOf(process, server) }, (_, index) => instanceId(release, process, index + 1)),
  );
}

/** Every instance of a release, including those that were stopped by hand, web first. */
export const idsOfRelease = (release: string, config: DeployConfig, server: Pick<ServerConfig, "scale">): string[] => [
  ...(hasWeb(config) ? [release] : []),
  ...otherIds(release, config, server),
];

/** Every instance of a release that should run and start at boot: all except those that were stopped by hand. */
export async function wantedIds(app: App, release: string, config: DeployConfig): Promise<string[]> {
  const stopped = await stoppedIds(app);
  return idsOfRelease(release, config, app.server).filter((id) => !stopped.has(id));
}

const STOPPED = "stopped";
const stoppedFile = ({ places }: NamedApp) => join(places.instances, STOPPED);

/**
 * The instances that `dp stop` has stopped: they stay stopped until `dp start`, or the next deploy. They are noted by
 * release, so that a failed deploy returns to what it found. `files`: the names in the app's folder `instances`, when they
 * were read already.
 */
export async function stoppedIds(app: NamedApp, files?: readonly string[]): Promise<Set<string>> {
  if (files?.includes(STOPPED) === false) return new Set();
  return new Set(((await readText(stoppedFile(app))) ?? "").split("\n").filter(Boolean));
}

/** Notes which instances are stopped by hand. */
export async function keepStopped(app: NamedApp, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) await removeFile(stoppedFile(app));
  else await writeFileAtomic(stoppedFile(app), ids.map((id) => `${id}\n`).join(""), 0o600);
}
