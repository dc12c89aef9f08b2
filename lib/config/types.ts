// What deploy.yml and config.yml say, once they were read.
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
  /** For one answer. */
  timeout: number;
  /** The first pause between two tries; it grows from try to try. */
  interval: number;
  /** From the start to the first healthy answer. */
  startTimeout: number;
}

/** How a process without HTTP proves that it is healthy: it stays up, or a command says so. Times are in ms. */
export type ProcessCheck =
  { stayUp: number } | { command: string; timeout: number; interval: number; startTimeout: number };

/** A process besides web. */
export interface ProcessConfig {
  command: string;
  healthCheck: ProcessCheck;
  /** The new one starts before the old one is stopped. */
  overlap: boolean;
  /** In ms; default: that of config.yml. */
  stopTimeout?: number;
}

/** What runs by the clock. */
export interface CronEntry {
  name: string;
  /** A cron line. */
  schedule: string;
  command: string;
  timeZone?: string;
}

/** What a commit asks for. */
export interface DeployConfig {
  name: string;
  type: string;
  /** The app's own folder, relative to the repository's top; default: the top. */
  root?: string;
  /** Missing: the app has no web process, no port and no front. */
  healthCheck?: HealthCheck;
  /** The web process's. */
  command?: string;
  build?: string;
  hooks: { preDeploy?: string; postDeploy?: string };
  shared?: Shared;
  /** What stands under the key of its type, as that type's own schema read it: only the type knows what it is. */
  settings?: unknown;
  /** Those besides web. */
  processes: Record<string, ProcessConfig>;
  cron: CronEntry[];
}

/** What the operator decided. Times are in ms. */
export interface ServerConfig {
  port: number;
  manager: string;
  /** How many workers share the port. */
  instances: number;
  /** What deploy.yml calls the app; default: its own name. */
  for?: string;
  env: string;
  branch: string;
  host: string;
  keep: number;
  /** In bytes; default: by what deploys took lately. */
  minFree?: number;
  /** Of how many runs log and record stay. */
  keepLogs: number;
  strategy: "blue-green" | "restart";
  front: string;
  protocol: "http" | "tcp";
  trustedProxies: string[];
  verifyTime: number;
  drainTimeout: number;
  holdTimeout: number;
  keepWarm: number;
  maxFailed?: number;
  /** What builds and hooks are held to. */
  build?: Limits;
  /** Process -> how many of it; one where nothing is said. */
  scale: Record<string, number>;
  /** What stands under keys of app types and managers, by name: only its owner knows what it is. */
  settings: Readonly<Record<string, unknown>>;
  gate: boolean;
  user?: string;
  path?: string;
  stopTimeout: number;
  stepTimeout: number;
}
