// deploy.yml and config.yml: read strictly, every problem at once, with line, column and a suggestion.
import { deployProblems } from "./deploy-rules.ts";
import { deploySchema } from "./deploy-schema.ts";
import { parse } from "./parse.ts";
import { appTypeNames, frontNames, managerNames } from "./kinds.ts";
import type { DeployConfig, ServerConfig } from "./types.ts";
import { checkServer } from "./server-rules.ts";
import { serverSchema } from "./server-schema.ts";
import { setInner, setKeys, type Scalar } from "./yaml-edit.ts";

/**
 * Reads deploy.yml; throws DpError "config" whose lines are all its problems. `types`: the app types allowed; `app`: the
 * app that it must be for.
 */
export function parseDeployConfig(
  text: string,
  file = "deploy.yml",
  types = appTypeNames(),
  app?: string,
): DeployConfig {
  const rules = (value: Record<string, unknown>) => deployProblems(value, app);
  const { processes: { web, ...processes } = {}, ...rest } = parse(deploySchema(types), text, file, rules);
  return { ...rest, ...(web === undefined ? {} : { command: web.command }), processes };
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

/** Sets values inside a mapping of a config.yml, `scale`, and leaves every other character of it. */
export function setServerMapping(
  text: string,
  key: keyof ServerConfig,
  values: Readonly<Record<string, Scalar>>,
  file = "config.yml",
): string {
  return setInner(text, key, values, file);
}
