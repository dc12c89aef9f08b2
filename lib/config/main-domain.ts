// The main domain of an app: the first that redirects nowhere and is one name.
import { isWildcard } from "./domain-name.ts";
import type { DeployConfig, DomainConfig, ServerConfig } from "./types.ts";

/** The main domain, or undefined. */
export const mainDomain = (domains: ServerConfig["domains"]): DomainConfig | undefined =>
  domains.find(({ name, redirect }) => redirect === undefined && !isWildcard(name));

/** Many apps refuse a Host that is not theirs: the health check asks for the main domain, unless deploy.yml names a host. */
export function withMainHost(config: DeployConfig, { domains }: ServerConfig): DeployConfig {
  const host = mainDomain(domains)?.name;
  if (host === undefined || config.healthCheck === undefined || config.healthCheck.host !== undefined) return config;
  return { ...config, healthCheck: { ...config.healthCheck, host } };
}
