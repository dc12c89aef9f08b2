// Which instances a release consists of: its web process, and the others at their scale.
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { instanceId } from "../paths.ts";
import type { DeployConfig, ServerConfig } from "../config/types.ts";

/** Whether a release listens on a port: then it has a health check, a front and a switch without a failed request. */
export const hasWeb = (config: DeployConfig) => config.healthCheck !== undefined;

/** How many of a process shall run. */
export const scaleOf = (process: string, { scale }: Pick<ServerConfig, "scale">) => scale[process] ?? 1;

/** The names of a release's processes, web first. */
export const processNames = (config: DeployConfig) => [
  ...(hasWeb(config) ? ["web"] : []),
  ...Object.keys(config.processes),
];

/** The instances of a release besides web, at their scale. */
export function otherIds(release: string, config: DeployConfig, server: Pick<ServerConfig, "scale">): string[] {
  return Object.keys(config.processes).flatMap((process) =>
    Array.from({ length: scaleOf(process, server) }, (_, index) => instanceId(release, process, index + 1)),
  );
}

/** Every instance that a release consists of, those stopped by hand among them, web first. */
export const idsOfRelease = (release: string, config: DeployConfig, server: Pick<ServerConfig, "scale">): string[] => [
  ...(hasWeb(config) ? [release] : []),
  ...otherIds(release, config, server),
];

/** Every instance of a release that shall run, and come up at boot: all but those that were stopped by hand. */
export async function wantedIds(app: App, release: string, config: DeployConfig): Promise<string[]> {
  const stopped = await stoppedIds(app);
  return idsOfRelease(release, config, app.server).filter((id) => !stopped.has(id));
}

const stoppedFile = ({ places }: NamedApp) => join(places.instances, "stopped");

/**
 * The instances that `dp stop` has stopped: they stay so until `dp start`, or the next deploy. By their release, so that
 * a deploy that fails comes back to what it found.
 */
export async function stoppedIds(app: NamedApp): Promise<Set<string>> {
  return new Set(((await readText(stoppedFile(app))) ?? "").split("\n").filter(Boolean));
}

/** Writes which instances are stopped by hand. */
export async function keepStopped(app: NamedApp, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) await removeFile(stoppedFile(app));
  else await writeFileAtomic(stoppedFile(app), ids.map((id) => `${id}\n`).join(""), 0o600);
}
