// The values of deploy.yml and config.yml after parsing.
import type { Shared } from "./shared-schema.ts";
import type { Limits } from "../host/process/confine.ts";

/** How a release proves that it is healthy. Times are in ms. */
export interface HealthCheck {
  path: string;
  /** The Host header; default: the address itself. */
  host?: string;
  /** More headers of the request. */
  headers?: Record<string, string>;
  /** The statuses that count; default: any from 200 to 299. */
  status?: number[];
  /** The limit for one answer. */
  timeout: number;
  /** The first pause between two tries; later pauses are longer. */
  interval: number;
  /** The limit from the start to the first healthy answer. */
  startTimeout: number;
}

/** How a process without HTTP proves healthy: it stays up, or a command succeeds. Times are in ms. */
export type ProcessCheck =
  { stayUp: number } | { command: string; timeout: number; interval: number; startTimeout: number };

/** A process other than web. */
export interface ProcessConfig {
  command: string;
  healthCheck: ProcessCheck;
  /** The new one starts before the old one is stopped. */
  overlap: boolean;
  /** In ms; default: the one of config.yml. */
  stopTimeout?: number;
}

/** A scheduled job. */
export interface CronEntry {
  name: string;
  /** A cron line. */
  schedule: string;
  command: string;
  timeZone?: string;
}

/** The settings of a commit. */
export interface DeployConfig {
  name: string;
  type: string;
  /** The app's own folder, relative to the repository's top; default: the top. */
  root?: string;
  /** Missing: the app has no web process, no port and no front. */
  healthCheck?: HealthCheck;
  /** The command of the web process. */
  command?: string;
  build?: string;
  hooks: { preDeploy?: string; postDeploy?: string };
  shared?: Shared;
  /** The value of the type's own key, parsed by the type's schema: only the type knows its form. */
  settings?: unknown;
  /** The processes other than web. */
  processes: Record<string, ProcessConfig>;
  cron: CronEntry[];
}

/** A name of an app. */
export interface DomainConfig {
  name: string;
  /** The app has only this path, `/api`, and what is below it; default: all that no other app has. */
  path?: string;
  /** It gets its requests without that path. */
  stripPrefix?: boolean;
  /** The name to which its clients are redirected. */
  redirect?: string;
  /** A folder with fullchain.pem and privkey.pem, which somebody else renews. */
  certificate?: string;
  /** Its certificate is one of dp's own CA. */
  tls?: "internal";
}

/** The operator's settings. Times are in ms. */
export interface ServerConfig {
  port: number;
  manager: string;
  /** How many workers share the port. */
  instances: number;
  /** The app's name in deploy.yml; default: its own name. */
  for?: string;
  env: string;
  branch: string;
  host: string;
  keep: number;
  /** In bytes; default: derived from what recent deploys used. */
  minFree?: number;
  /** The number of runs whose log and record are kept. */
  keepLogs: number;
  strategy: "blue-green" | "restart";
  front: string;
  protocol: "http" | "tcp";
  trustedProxies: string[];
  /** The names by which clients reach it over https; the first that redirects nowhere is the main one. */
  domains: DomainConfig[];
  tls: { http: "redirect" | "serve"; hsts: number };
  /** The networks of the clients that may use the app; default: all may. */
  allow?: string[];
  /** User -> password, as bcrypt has hashed it; default: nobody needs one. */
  basicAuth?: Record<string, string>;
  verifyTime: number;
  drainTimeout: number;
  holdTimeout: number;
  keepWarm: number;
  maxFailed?: number;
  /** The limits of builds and hooks. */
  build?: Limits;
  /** Process -> number of instances; default: one. */
  scale: Record<string, number>;
  /** The values of the keys of app types and managers, by name: only the owner knows their form. */
  settings: Readonly<Record<string, unknown>>;
  gate: boolean;
  /** The servers that a push deploys to, by name: "here", or an address for ssh; empty: this one alone. */
  servers: Record<string, string>;
  /** Process, or "cron" -> the servers on which it runs; default: all, and cron where the push arrives. */
  roles: Record<string, string[]>;
  /** Who is told about the app, and how long it must be bad before it is down; false: nobody. */
  notify?: false | { to?: string[]; down?: number };
  user?: string;
  path?: string;
  stopTimeout: number;
  stepTimeout: number;
}
