// The config.yml of an app as `dp setup` writes it: the requested values, then the existing ones, then defaults that
// fit this server.
import { existsSync } from "node:fs";
import { parseServerConfig, serverValueProblem, setServerValues } from "../config/config.ts";
import { usualOf } from "../config/declared.ts";
import { managerSettings, serverKinds } from "../config/kinds.ts";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { render, schemaUrl, template } from "../host/template.ts";
import { root } from "../paths.ts";
import { manager } from "../registry.ts";
import { openApp } from "../release/app.ts";
import { firstFree, portsOfOthers } from "./public-port.ts";

/** The options of `dp setup`. */
export interface SetupOptions {
  url?: string;
  port?: number;
  manager?: string;
  /** The app's name in deploy.yml. */
  for?: string;
  env?: string;
  branch?: string;
  host?: string;
  front?: string;
}

// Under DP_ROOT nothing outside is touched: there is no system user, and the app runs as the current user.
export const isServer = () => process.getuid?.() === 0 && root() === "";

/** Values that are always set. */
export interface Choice {
  port: number;
  manager: string;
  user?: string;
  /** Without root: programs that work in the user's shell also work in their deploys. */
  path?: string;
}

/** Throws DpError "usage" for an option that config.yml cannot have, named as it was typed. */
export async function requireValid(options: SetupOptions): Promise<void> {
  // The manager is looked for by its name, with a suggestion.
  const { url: _url, manager: _manager, ...values } = options;
  const kinds = await serverKinds();
  for (const [key, value] of Object.entries(values)) {
    const problem = value === undefined ? null : serverValueProblem(key, value, kinds);
    if (problem !== null) throw new DpError("usage", `--${key} ${problem}`);
  }
}

/** Existing values stay unless new ones are requested; missing ones get a default that fits this server. */
export async function choose({ name, places }: NamedApp, options: SetupOptions): Promise<Choice> {
  const now = existsSync(places.config) ? (await openApp(name)).server : undefined;
  const taken = await portsOfOthers(name);
  const port = options.port ?? now?.port ?? (await firstFree(taken));
  const other = taken.get(port);
  if (other)
    throw new DpError("usage", `port ${port} belongs to the app "${other}"`, {
      hint: `the next free one is ${await firstFree(taken)}`,
    });
  const byDefault = now?.manager ?? (await firstManager());
  const path = isServer() || now ? now?.path : process.env["PATH"];
  return {
    port,
    manager: options.manager ?? byDefault,
    ...(now?.user ? { user: now.user } : {}),
    ...(path ? { path } : {}),
  };
}

/** The usual manager, or the first one that works on this host. */
async function firstManager(): Promise<string> {
  const declared = await managerSettings();
  const usual = usualOf(declared);
  for (const name of [usual, ...Object.keys(declared)])
    if ((await (await manager(name)).unavailable()) === null) return name;
  return usual;
}

/** The text of config.yml with those values. Throws DpError "config" for an invalid one. */
export async function configText({ places: { config } }: NamedApp, values: SetupOptions & Choice): Promise<string> {
  const now = await readText(config);
  const { url: _, ...keys } = values;
  const from =
    now ??
    render(await template("config.yml"), {
      schema: schemaUrl("config.schema.json"),
      port: String(values.port),
      manager: values.manager,
    });
  const text = setServerValues(from, keys, config);
  parseServerConfig(text, config, await serverKinds());
  return text;
}

/** A changed key of config.yml; `was` is undefined when it is new. */
export interface Change {
  key: string;
  value: unknown;
  was: unknown;
}

/** Writes config.yml; answers the differences, or null when the file is new. */
export async function writeConfig({ places: { config } }: NamedApp, text: string): Promise<Change[] | null> {
  const now = await readText(config);
  const kinds = await serverKinds();
  const wanted = parseServerConfig(text, config, kinds);
  if (now === text) return [];
  await writeFileAtomic(config, text, 0o600);
  if (now === null) return null;
  const before = parseServerConfig(now, config, kinds) as unknown as Record<string, unknown>;
  const differing = Object.entries(wanted).filter(([key, value]) => !Bun.deepEquals(before[key], value));
  return differing.map(([key, value]) => ({ key, value, was: before[key] }));
}

/** Restores config.yml, or removes a new one: the next setup must not ask for what was not available. */
export async function restoreConfig({ places: { config } }: NamedApp, before: string | null): Promise<void> {
  if (before === null) await removeFile(config);
  else await writeFileAtomic(config, before, 0o600);
}
