// The part that a server has in an app of several: its name, and what runs on it.
import type { DeployConfig, ServerConfig } from "../config/types.ts";
import type { Group } from "../pipeline/facts.ts";

/** Whether pushes to this server deploy to others, too. */
export const hasServers = ({ servers }: Pick<ServerConfig, "servers">): boolean => Object.keys(servers).length > 0;

/** The name of this server in `servers`. */
export const ownName = ({ servers }: Pick<ServerConfig, "servers">): string =>
  Object.keys(servers).find((name) => servers[name] === "here") ?? "here";

/** What runs on this server of a commit: the processes of its roles, and its scheduled jobs on one server alone. */
export function ownPart(config: DeployConfig, group: Group | null): DeployConfig {
  if (group === null) return config;
  const { roles, name, lead } = group;
  const isHere = (process: string) => roles[process]?.includes(name) ?? true;
  const processes = Object.fromEntries(Object.entries(config.processes).filter(([process]) => isHere(process)));
  const { healthCheck, ...rest } = config;
  const hasJobs = roles["cron"]?.includes(name) ?? name === lead;
  const part: DeployConfig = { ...rest, processes, cron: hasJobs ? config.cron : [] };
  if (healthCheck !== undefined && isHere("web")) part.healthCheck = healthCheck;
  return part;
}
