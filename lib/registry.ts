// What there is of each kind: a file in the folder is an entry, and nothing else needs to know it.
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { join, parse } from "node:path";
import type { AppType } from "./contracts/app-type.ts";
import type { Check } from "./contracts/check.ts";
import { DpError } from "./errors.ts";
import type { Front } from "./contracts/front.ts";
import type { Manager } from "./contracts/manager.ts";
import { loadModule } from "./host/modules.ts";
import { didYouMean } from "./text/suggestion.ts";

const listed = new Map<string, string[]>();

// Listed once: every config that is read asks for them.
function namesIn(folder: string): string[] {
  const names = listed.get(folder) ?? readdirSync(join(import.meta.dir, folder)).filter((file) => file.endsWith(".ts"));
  listed.set(folder, names);
  return names.map((file) => parse(file).name).sort();
}

async function entry<T>(folder: string, what: string, names: string[], name: string): Promise<T> {
  if (!names.includes(name)) {
    throw new DpError(
      "usage",
      `unknown ${what} ${JSON.stringify(name)}, there is ${names.join(", ")}`,
      didYouMean(name, names),
    );
  }
  return ((await loadModule(join(import.meta.dir, folder, `${name}.ts`))) as { default: T }).default;
}

export const appTypeNames = () => namesIn("apps");
export const checkNames = () => namesIn("doctor");
export const managerNames = () => namesIn("managers");
export const frontNames = () => namesIn("fronts");

/** The app type of that name; throws DpError "usage" when there is none. */
export const appType = (name: string) => entry<AppType>("apps", "app type", appTypeNames(), name);
/** The manager of that name; throws DpError "usage" when there is none. */
export const manager = (name: string) => entry<Manager>("managers", "manager", managerNames(), name);
/** The front of that name; throws DpError "usage" when there is none. */
export const front = (name: string) => entry<Front>("fronts", "front", frontNames(), name);
/** Every check of `dp doctor`, by name. */
export const checks = (): Promise<[name: string, check: Check][]> =>
  Promise.all(checkNames().map(async (name) => [name, await entry<Check>("doctor", "check", checkNames(), name)]));
/** Every app type. */
export const appTypes = () => Promise.all(appTypeNames().map(appType));

/** A step as a file. `isModule`: one of dp's own, run in this process. */
export interface StepFile {
  name: string;
  path: string;
  isModule: boolean;
}

const own = join(import.meta.dir, "../steps");

/** Every step: dp's own, and the executables in the folder that DP_STEPS names. Throws DpError "usage". */
export function stepFiles(): StepFile[] {
  const files = readdirSync(own).map((file) => ({
    name: parse(file).name,
    path: join(own, file),
    isModule: file.endsWith(".ts"),
  }));
  const extra = process.env["DP_STEPS"];
  if (!extra) return files;
  if (!extra.startsWith("/"))
    throw new DpError("usage", `DP_STEPS must be an absolute path, not ${JSON.stringify(extra)}`);
  if (!statSync(extra, { throwIfNoEntry: false })?.isDirectory())
    throw new DpError("usage", `DP_STEPS: there is no folder ${extra}`);
  for (const file of readdirSync(extra)) {
    const path = join(extra, file);
    if (!isExecutable(path)) continue;
    const { name } = parse(file);
    const twin = files.find((step) => step.name === name);
    if (twin) throw new DpError("usage", `${path}: a step named "${name}" exists already, ${twin.path}`);
    files.push({ name, path, isModule: false });
  }
  return files;
}

/** The step of that name; throws DpError "usage" when there is none. */
export function stepFile(name: string): StepFile {
  const files = stepFiles();
  const found = files.find((step) => step.name === name);
  if (found) return found;
  const names = files.map((step) => step.name);
  throw new DpError("usage", `unknown step ${JSON.stringify(name)}, see: dp step`, didYouMean(name, names));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
