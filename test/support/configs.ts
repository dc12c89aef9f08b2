// deploy.yml and config.yml read as dp reads them, with what the types, managers and fronts of this dp declare.
import { parseDeployConfig, parseServerConfig } from "../../lib/config/config.ts";
import type { Declared } from "../../lib/config/declared.ts";
import { serverKinds } from "../../lib/config/kinds.ts";

const kinds = await serverKinds();

const only = <T>(declared: Declared<T>, names: readonly string[]): Declared<T> =>
  Object.fromEntries(Object.entries(declared).filter(([name]) => names.includes(name)));

/** A deploy.yml; `types`: the app types that there are; `app`: the app that it must be for. */
export const deployConfig = (text: string, types: readonly string[] = Object.keys(kinds.apps), app?: string) =>
  parseDeployConfig(text, "deploy.yml", only(kinds.apps, types), app);

/** A config.yml; `managers`: those that there are. */
export const serverConfig = (text: string, managers: readonly string[] = Object.keys(kinds.managers)) =>
  parseServerConfig(text, "config.yml", { ...kinds, managers: only(kinds.managers, managers) });
