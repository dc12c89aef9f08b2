// Which app types, managers, fronts and checks there are, and what they declare of the configs: each is a file of its
// folder, and nothing else knows it.
import { existsSync, readdirSync } from "node:fs";
import { join, parse } from "node:path";
import { loadModule } from "../host/modules.ts";
import type { AppSettings, Declared, FrontSettings, ManagerSettings, ServerKinds } from "./declared.ts";

const lib = join(import.meta.dir, "..");
const listed = new Map<string, string[]>();

// Listed once: every config that is read asks for them.
function namesIn(folder: string): string[] {
  const names = listed.get(folder) ?? readdirSync(join(lib, folder)).filter((file) => file.endsWith(".ts"));
  listed.set(folder, names);
  return names.map((file) => parse(file).name).sort();
}

export const appTypeNames = () => namesIn("apps");
export const checkNames = () => namesIn("doctor");
export const managerNames = () => namesIn("managers");
export const frontNames = () => namesIn("fronts");

async function declaredIn<T extends object>(folder: string): Promise<Declared<T>> {
  const entries = namesIn(folder).map(async (name): Promise<[string, T]> => {
    const file = join(lib, folder, name, "settings.ts");
    // Only what is small is loaded for a config: the files of an engine, or of an installer, are not.
    return [name, existsSync(file) ? ((await loadModule(file)) as { default: T }).default : ({} as T)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** What the app types declare. */
export const appSettings = () => declaredIn<AppSettings>("apps");
/** What the managers declare. */
export const managerSettings = () => declaredIn<ManagerSettings>("managers");
/** What everything declares that config.yml can name. */
export async function serverKinds(): Promise<ServerKinds> {
  const all = [appSettings(), managerSettings(), declaredIn<FrontSettings>("fronts")] as const;
  const [apps, managers, fronts] = await Promise.all(all);
  return { apps, managers, fronts };
}
