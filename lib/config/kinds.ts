// The existing app types, managers, fronts, checks and kinds of notification, with their settings: each is one file in
// its folder, and no other place names it.
import { existsSync, readdirSync } from "node:fs";
import { join, parse } from "node:path";
import { loadModule } from "../host/modules.ts";
import type { AppSettings, Declared, FrontSettings, ManagerSettings, ServerKinds } from "./declared.ts";

const lib = join(import.meta.dir, "..");
const listed = new Map<string, string[]>();

// Listed once: reading any config needs them.
function namesIn(folder: string): string[] {
  const names = listed.get(folder) ?? list(folder);
  listed.set(folder, names);
  return [...names];
}

const list = (folder: string): string[] =>
  readdirSync(join(lib, folder))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => parse(file).name)
    .sort();

export const appTypeNames = () => namesIn("apps");
export const checkNames = () => namesIn("doctor");
export const managerNames = () => namesIn("managers");
export const frontNames = () => namesIn("fronts");
export const notifierNames = () => namesIn("notify/kinds");

async function declaredIn<T extends object>(folder: string): Promise<Declared<T>> {
  const entries = namesIn(folder).map(async (name): Promise<[string, T]> => {
    const file = join(lib, folder, name, "settings.ts");
    // Only the small settings files are loaded for a config, not an engine or an installer.
    return [name, existsSync(file) ? ((await loadModule(file)) as { default: T }).default : ({} as T)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The settings of the app types. */
export const appSettings = () => declaredIn<AppSettings>("apps");
/** The settings of the managers. */
export const managerSettings = () => declaredIn<ManagerSettings>("managers");
/** The settings of everything that config.yml can name. */
export async function serverKinds(): Promise<ServerKinds> {
  const all = [appSettings(), managerSettings(), declaredIn<FrontSettings>("fronts")] as const;
  const [apps, managers, fronts] = await Promise.all(all);
  return { apps, managers, fronts };
}
