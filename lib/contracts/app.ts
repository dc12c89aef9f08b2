// The App value: what a command knows about its app. release/app.ts opens it once, and it is passed on from there.
import type { ServerConfig } from "../config/types.ts";
import type { Places } from "../paths.ts";
import type { Front } from "./front.ts";
import type { Manager } from "./manager.ts";

/** An app by name alone: what is known while its config.yml is wrong or not written yet. */
export interface NamedApp {
  readonly name: string;
  readonly places: Readonly<Places>;
  /** The release that `current` points at, or null. Read each time: a deploy changes the link while a command runs. */
  live(): Promise<string | null>;
  /** The release that `previous` points at, or null. */
  previous(): Promise<string | null>;
}

export interface App extends NamedApp {
  /** config.yml as it was when the app was opened; in a step, as it was when the run began. */
  readonly server: ServerConfig;
  /** The managers of the app's releases, combined into one: each release stays with the manager that started it. */
  readonly manager: Manager;
  readonly front: Front;
}
