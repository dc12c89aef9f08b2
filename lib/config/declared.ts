// The settings in deploy.yml and config.yml of app types, managers and fronts, each declared in NAME/settings.ts.
import { exactOptional, type GenericSchema } from "valibot";
import type { Wrong } from "./yaml.ts";

/** The declarations of one kind, by name; empty for one without settings. */
export type Declared<T> = Readonly<Record<string, T>>;

export interface AppSettings {
  /** It is the example where deploy.yml names none. */
  readonly isUsual?: boolean;
  /** Its key of deploy.yml, named like the type. Apps of other types must not use it. */
  readonly deploy?: GenericSchema;
  /** Its key of config.yml, named like the type. */
  readonly server?: GenericSchema;
  /** Its apps have no processes: command, processes and cron are refused, and a Procfile is not read. */
  readonly startsNothing?: boolean;
  /** Errors between the keys of such a deploy.yml; the values are as read, not yet validated. */
  problems?(deploy: Readonly<Record<string, unknown>>): Wrong[];
}

export interface ManagerSettings {
  /** Setup takes this one where the host can use it. */
  readonly isUsual?: boolean;
  /** Its key of config.yml, named like the manager. */
  readonly server?: GenericSchema;
  /** Set if several workers can share the port: the kind of command that this needs, "a command that is node FILE". */
  readonly workers?: string;
}

export interface FrontSettings {
  /** A config.yml that names none means this one. */
  readonly isUsual?: boolean;
  /** False: the app listens on the public port itself. */
  readonly holdsPort?: boolean;
  /** True: it serves domains over https. */
  readonly servesDomains?: boolean;
  /** True: several apps may share a domain, each with its paths. */
  readonly servesPaths?: boolean;
  /** True: it obeys `allow` and `basicAuth`. */
  readonly guards?: boolean;
}

/** The app types, managers and fronts that config.yml can name, with their settings. */
export interface ServerKinds {
  readonly apps: Declared<AppSettings>;
  readonly managers: Declared<ManagerSettings>;
  readonly fronts: Declared<FrontSettings>;
}

/** The default name: the usual one, otherwise the first. */
export function usualOf(declared: Declared<{ readonly isUsual?: boolean }>): string {
  const names = Object.keys(declared);
  return names.find((name) => declared[name]?.isUsual) ?? names[0] ?? "";
}

/** The schemas of the keys of app types or managers, by name; each key is optional. */
export function ownKeys<K extends string>(
  declared: Declared<{ readonly [key in K]?: GenericSchema }>,
  file: K,
): Record<string, GenericSchema> {
  const keys: Record<string, GenericSchema> = {};
  for (const [name, { [file]: schema }] of Object.entries(declared)) if (schema) keys[name] = exactOptional(schema);
  return keys;
}
