// The registry of app types, managers, fronts, checks and kinds of notification: a file in the folder is an entry, and no other code lists it.
import { join } from "node:path";
import type { AppType } from "./contracts/app-type.ts";
import type { Check } from "./contracts/check.ts";
import { DpError } from "./errors.ts";
import type { Front } from "./contracts/front.ts";
import type { Manager } from "./contracts/manager.ts";
import type { Notifier } from "./contracts/notifier.ts";
import { appTypeNames, checkNames, frontNames, managerNames, notifierNames } from "./config/kinds.ts";
import { loadModule } from "./host/modules.ts";
import { didYouMean } from "./text/suggestion.ts";

/** What is loaded, or being loaded: a list of all apps asks for the same ones a thousand times. */
const loaded = new Map<string, Promise<unknown>>();

async function entry<T>(folder: string, what: string, names: string[], name: string): Promise<T> {
  if (!names.includes(name)) {
    throw new DpError(
      "usage",
      `unknown ${what} ${JSON.stringify(name)}; known are ${names.join(", ")}`,
      didYouMean(name, names),
    );
  }
  const path = join(import.meta.dir, folder, `${name}.ts`);
  const found = loaded.get(path) ?? loadModule(path);
  loaded.set(path, found);
  return ((await found) as { default: T }).default;
}

/** The app type of that name; throws DpError "usage" when there is none. */
export const appType = (name: string) => entry<AppType>("apps", "app type", appTypeNames(), name);
/** The manager of that name; throws DpError "usage" when there is none. */
export const manager = (name: string) => entry<Manager>("managers", "manager", managerNames(), name);
/** The front of that name; throws DpError "usage" when there is none. */
export const front = (name: string) => entry<Front>("fronts", "front", frontNames(), name);
/** The kind of notification of that name; throws DpError "usage" when there is none. */
export const notifier = (name: string) => entry<Notifier>("notify/kinds", "kind", notifierNames(), name);
/** Every kind of notification. */
export const notifiers = () => Promise.all(notifierNames().map(notifier));
/** Every check of `dp doctor`, by name. */
export const checks = (): Promise<[name: string, check: Check][]> =>
  Promise.all(checkNames().map(async (name) => [name, await entry<Check>("doctor", "check", checkNames(), name)]));
/** Every app type. */
export const appTypes = () => Promise.all(appTypeNames().map(appType));
