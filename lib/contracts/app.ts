// What a command knows of the app that it is about: opened once by release/app.ts, and handed on.
import type { ServerConfig } from "../config/types.ts";
import type { Places } from "../paths.ts";
import type { Front } from "./front.ts";
import type { Manager } from "./manager.ts";

/** An app by its name alone: all that can be known while its config.yml is wrong, or not written yet. */
export interface NamedApp {
  readonly name: string;
  readonly places: Readonly<Places>;
  /** The release that `current` names, or null. Asked each time: a deploy changes it while a command runs. */
  live(): Promise<string | null>;
  /** The release that `previous` names, or null. */
  previous(): Promise<string | null>;
}

export interface App extends NamedApp {
  /** config.yml as it was when the app was opened; in a step, as it was when the run began. */
  readonly server: ServerConfig;
  /** The managers of the app's releases, as one: each release is in the hands of the one that started it. */
  readonly manager: Manager;
  readonly front: Front;
}
