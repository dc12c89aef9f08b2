// deploy.yml and config.yml: read strictly, every problem at once, with line, column and a suggestion.
import * as v from "valibot";
import { ownKeys, type AppSettings, type Declared, type ServerKinds } from "./declared.ts";
import { deployProblems } from "./deploy-rules.ts";
import { deploySchema } from "./deploy-schema.ts";
import { parse, type Mapping } from "./parse.ts";
import type { DeployConfig, ServerConfig } from "./types.ts";
import { checkServer } from "./server-rules.ts";
import { serverKeys, serverSchema } from "./server-schema.ts";
import { setInner, setKeys, type Scalar } from "./yaml-edit.ts";

/**
 * Reads deploy.yml; throws DpError "config" with all its problems as lines. `types`: the allowed app types with their
 * settings; `app`: the app that it must be for.
 */
export function parseDeployConfig(
  text: string,
  file: string,
  types: Declared<AppSettings>,
  app?: string,
): DeployConfig {
  const rules = (value: Mapping) => deployProblems(value, types, app);
  const parsed = parse(deploySchema(types), text, file, rules);
  const [read, own] = apart(parsed, Object.keys(ownKeys(types, "deploy")));
  const { processes: { web, ...processes } = {}, ...rest } = read;
  const config: DeployConfig = { ...rest, processes };
  if (web !== undefined) config.command = web.command;
  const settings = own[config.type];
  if (settings !== undefined) config.settings = settings;
  return config;
}

/**
 * Reads config.yml; throws DpError "config" with all its problems as lines. `kinds`: the types, managers and fronts it
 * may name.
 */
export function parseServerConfig(text: string, file: string, kinds: ServerKinds): ServerConfig {
  const parsed = parse(serverSchema(kinds), text, file);
  const [read, settings] = apart(parsed, serverKeys(kinds));
  return { ...read, settings, strategy: checkServer(read, kinds, file) };
}

/** Why config.yml cannot have this value of a key, as the end of a sentence, or null. */
export function serverValueProblem(key: string, value: unknown, kinds: ServerKinds): string | null {
  const result = v.safeParse(serverSchema(kinds), { [key]: value }, { abortPipeEarly: true });
  return (result.issues ?? []).find(({ path }) => path?.[0]?.key === key)?.message ?? null;
}

/** Splits the parsed values into those of the core and those of app types and managers. */
function apart<T extends object>(parsed: T, keys: readonly string[]): [read: T, own: Mapping] {
  const read: Mapping = {};
  const own: Mapping = {};
  for (const [key, value] of Object.entries(parsed)) {
    if (keys.includes(key)) own[key] = value;
    else read[key] = value;
  }
  return [read as T, own];
}

/** Sets values in a config.yml and leaves everything else as it is; durations as written: "30s". */
export function setServerValues(
  text: string,
  values: Readonly<Partial<Record<keyof ServerConfig, Scalar | undefined>>>,
  file = "config.yml",
): string {
  return setKeys(text, values, file);
}

/** Sets values in a mapping of a config.yml, `scale`, and leaves everything else as it is. */
export function setServerMapping(
  text: string,
  key: keyof ServerConfig,
  values: Readonly<Record<string, Scalar>>,
  file = "config.yml",
): string {
  return setInner(text, key, values, file);
}
