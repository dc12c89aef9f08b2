// The settings of apps of type docker, as whatever makes containers reads them.
import type { DeployConfig } from "../config/types.ts";
import type { Limits } from "../host/process/confine.ts";

/** How the image of an app of type docker is built and used. */
export interface DockerConfig {
  /** The Dockerfile, relative to the app's folder. */
  file: string;
  /** Build arguments. */
  args: Record<string, string>;
  /** The port that the app listens on in its container. */
  port?: number;
  /** The stage to build. */
  target?: string;
}

/** The settings of the type in deploy.yml. */
export const settingsOf = (config: DeployConfig) => config.settings as DockerConfig | undefined;

/** The operator's limits for a container. */
export const containerLimits = (operator: Readonly<Record<string, unknown>> = {}) =>
  operator["docker"] as Limits | undefined;
