// What an app type, a manager and a front declare of deploy.yml and config.yml, each in NAME/settings.ts of its folder.
import { exactOptional, type GenericSchema } from "valibot";
import type { Wrong } from "./yaml.ts";

/** What each of a kind declares, by name; nothing for one without settings. */
export type Declared<T> = Readonly<Record<string, T>>;

export interface AppSettings {
  /** It is the example where deploy.yml names none. */
  readonly isUsual?: boolean;
  /** Its key of deploy.yml, called like the type. Apps of other types are refused it. */
  readonly deploy?: GenericSchema;
  /** Its key of config.yml, called like the type. */
  readonly server?: GenericSchema;
  /** Its apps have no processes: command, processes and cron are refused, and a Procfile is not read. */
  readonly startsNothing?: boolean;
  /** What is wrong between the keys of a deploy.yml of this type, as they were read: nothing of it is judged yet. */
  problems?(deploy: Readonly<Record<string, unknown>>): Wrong[];
}

export interface ManagerSettings {
  /** It is the one that setup takes where this host can use it. */
  readonly isUsual?: boolean;
  /** Its key of config.yml, called like the manager. */
  readonly server?: GenericSchema;
  /** Several workers can share the port, for an app that has this: "a command that is node FILE". */
  readonly workers?: string;
}

export interface FrontSettings {
  /** It is the one of a config.yml that names none. */
  readonly isUsual?: boolean;
  /** False: the app listens on the public port itself. */
  readonly holdsPort?: boolean;
}

/** What config.yml can name, and what of it is theirs. */
export interface ServerKinds {
  readonly apps: Declared<AppSettings>;
  readonly managers: Declared<ManagerSettings>;
  readonly fronts: Declared<FrontSettings>;
}

/** The name to take where none is given: the usual one, else the first. */
export function usualOf(declared: Declared<{ readonly isUsual?: boolean }>): string {
  const names = Object.keys(declared);
  return names.find((name) => declared[name]?.isUsual) ?? names[0] ?? "";
}

/** The schemas of the keys that are somebody's own, by name; each may be left out. */
export function ownKeys<K extends string>(
  declared: Declared<{ readonly [key in K]?: GenericSchema }>,
  file: K,
): Record<string, GenericSchema> {
  const keys: Record<string, GenericSchema> = {};
  for (const [name, { [file]: schema }] of Object.entries(declared)) if (schema) keys[name] = exactOptional(schema);
  return keys;
}
