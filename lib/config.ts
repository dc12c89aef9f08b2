// deploy.yml and config.yml: read strictly, every problem at once, with line, column and a suggestion.
import { deploySchema } from "./config/deploy-schema.ts";
import { dockerProblems, type DockerConfig } from "./config/docker-schema.ts";
import { parse } from "./config/parse.ts";
import type { Shared } from "./config/shared-schema.ts";
import type { StaticSite } from "./config/static-schema.ts";
import type { Limits } from "./manager.ts";
import { appTypeNames, frontNames, managerNames } from "./registry.ts";
import { checkServer } from "./config/server-rules.ts";
import { serverSchema } from "./config/server-schema.ts";
import { setKeys, type Scalar } from "./config/yaml-edit.ts";

/** How a release proves that it is healthy. Times are in ms. */
export interface HealthCheck {
  path: string;
  /** The Host header; default: the address itself. */
  host?: string;
  /** The statuses that count; default: any from 200 to 299. */
  status?: number[];
  /** For one answer. */
  timeout: number;
  /** The first pause between two tries; it grows from try to try. */
  interval: number;
  /** From the start to the first healthy answer. */
  startTimeout: number;
}

/** What a commit asks for. */
export interface DeployConfig {
  name: string;
  type: string;
  /** The app's own folder, relative to the repository's top; default: the top. */
  root?: string;
  healthCheck: HealthCheck;
  command?: string;
  build?: string;
  docker?: DockerConfig;
  hooks: { preDeploy?: string; postDeploy?: string };
  shared?: Shared;
  static?: StaticSite;
}

/** What the operator decided. Times are in ms. */
export interface ServerConfig {
  port: number;
  manager: string;
  /** How many workers share the port. */
  instances: number;
  env: string;
  branch: string;
  host: string;
  keep: number;
  strategy: "blue-green" | "restart";
  front: string;
  protocol: "http" | "tcp";
  trustedProxies: string[];
  verifyTime: number;
  drainTimeout: number;
  holdTimeout: number;
  keepWarm: number;
  maxFailed?: number;
  docker?: Limits;
  gate: boolean;
  user?: string;
  path?: string;
  stopTimeout: number;
  stepTimeout: number;
}

/** Reads deploy.yml; throws DpError "config" whose lines are all its problems. `types`: the app types allowed. */
export function parseDeployConfig(text: string, file = "deploy.yml", types = appTypeNames()): DeployConfig {
  return parse(deploySchema(types), text, file, dockerProblems);
}

/** Reads config.yml; throws DpError "config" whose lines are all its problems. `managers`, `fronts`: those allowed. */
export function parseServerConfig(
  text: string,
  file = "config.yml",
  managers = managerNames(),
  fronts = frontNames(),
): ServerConfig {
  const parsed = parse(serverSchema(managers, fronts), text, file);
  return { ...parsed, strategy: checkServer(parsed, file) };
}

/** Sets values of a config.yml and leaves every other character of it; durations as written: "30s". */
export function setServerValues(
  text: string,
  values: Readonly<Partial<Record<keyof ServerConfig, Scalar | undefined>>>,
  file = "config.yml",
): string {
  return setKeys(text, values, file);
}
