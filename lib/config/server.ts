// The apps of this server and their config.yml.
import { lstatSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { codeOf, DpError } from "../errors.ts";
import { readText } from "../host/files.ts";
import { keepServer, keptServer } from "./kept-config.ts";
import { serverKinds } from "./kinds.ts";
import { deployments, type Places } from "../paths.ts";
import { installedTree } from "../host/self.ts";
import { didYouMean } from "../text/suggestion.ts";
import type { ServerConfig } from "./types.ts";

/** The names of all apps that were set up, sorted. */
export async function appNames(): Promise<string[]> {
  try {
    const names = await readdir(deployments());
    return names.filter((name) => isSetUp({ config: `${deployments()}/${name}/config.yml` })).sort();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Whether an app was set up there. A config.yml that may not be read exists: "no app" would be a lie. */
export function isSetUp({ config }: Pick<Places, "config">): boolean {
  try {
    return lstatSync(config, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return codeOf(error) === "EACCES";
  }
}

/** The app's config.yml. Throws DpError "usage" when there is no such app, "config" when the file is wrong. */
export async function readServer({ app, base, config }: Readonly<Places>): Promise<ServerConfig> {
  const text = await readConfig(config);
  if (text === null) throw noSuchApp(app, await appNames());
  return parsed(base, config, text);
}

/** The error for an unknown app; `known`: the names for a suggestion. */
export function noSuchApp(app: string, names: readonly string[], known = names): DpError {
  return new DpError("usage", `there is no app "${app}" on this server`, {
    lines: names.length > 0 ? [`there is ${names.join(", ")}`] : [],
    ...(didYouMean(app, known).hint ? didYouMean(app, known) : { hint: `dp setup ${app}` }),
  });
}

// Kept only for an installed dp: the files of a checkout may change without a new name.
async function parsed(base: string, file: string, text: string): Promise<ServerConfig> {
  const kept = installedTree && (await keptServer(base, installedTree, text));
  if (kept) return kept;
  const { parseServerConfig } = await import("./config.ts");
  const server = parseServerConfig(text, file, await serverKinds());
  if (installedTree) await keepServer(base, { tree: installedTree, text, server });
  return server;
}

async function readConfig(path: string): Promise<string | null> {
  try {
    return await readText(path);
  } catch (cause) {
    if (codeOf(cause) !== "EACCES") throw cause;
    throw new DpError("host", `${path}: permission denied`, { hint: asWhom(), cause });
  }
}

// The folder of all apps belongs to the user who ran dp setup.
const asWhom = () =>
  statSync(deployments()).uid === 0
    ? `run it with sudo: sudo dp ${process.argv.slice(2).join(" ")}`
    : "run it as the user who ran dp setup";
