// The vocabulary: every fact that steps share, with its schema.
import * as v from "valibot";
import { isReleaseId } from "../text/ids.ts";
import { appTypeNames } from "../config/kinds.ts";
import type { DeployConfig, ServerConfig } from "../config/types.ts";

const path = v.pipe(v.string(), v.startsWith("/"));
const releaseId = v.pipe(v.string(), v.check(isReleaseId, "not a release such as 42-3f9c2ab"));
const time = v.pipe(v.string(), v.isoTimestamp());
const milliseconds = v.pipe(v.number(), v.minValue(0));
const described = <S extends v.GenericSchema>(schema: S, text: string) => v.pipe(schema, v.description(text));

const valueOf = (input: unknown, key: string): unknown =>
  typeof input === "object" && input !== null ? (input as Record<string, unknown>)[key] : undefined;
const isText = (input: unknown, key: string) => typeof valueOf(input, key) === "string";

// Both configs were validated strictly when the run began. Here they only need their former shape, and keys unknown to
// an older dp get their defaults.
const config = v.pipe(
  v.custom<DeployConfig>((input) => isText(input, "name") && isText(input, "type")),
  v.transform((known): DeployConfig => {
    // dp 0.1.0 kept them under the name of the type, as in deploy.yml.
    const settings = known.settings ?? (known as unknown as Record<string, unknown>)[known.type];
    return { ...known, settings, processes: known.processes ?? {}, cron: known.cron ?? [] };
  }),
);
const server = v.pipe(
  v.custom<ServerConfig>(
    (input) => typeof valueOf(input, "port") === "number" && isText(input, "manager") && isText(input, "front"),
  ),
  v.transform((known): ServerConfig => {
    // dp 0.1.0 kept them beside the other keys, each under the name of its owner.
    const own = Object.entries(known).filter(([key]) => appTypeNames().includes(key));
    const settings = known.settings ?? Object.fromEntries(own);
    const { scale = {}, keepLogs = 200, domains = [], tls = { http: "redirect", hsts: 0 } } = known;
    const { servers = {}, roles = {} } = known;
    return { ...known, settings, scale, keepLogs, domains, tls, servers, roles };
  }),
);

const probes = v.strictObject({
  requests: v.number(),
  failed: v.number(),
  longestGap: milliseconds,
});

const room = { bytes: v.pipe(v.number(), v.minValue(0)), files: v.nullable(v.pipe(v.number(), v.minValue(0))) };

const runtime = v.strictObject({
  path: v.array(path),
  env: v.record(v.string(), v.string()),
  dependencies: v.nullable(path),
  interpreter: v.optional(v.strictObject({ name: v.string(), version: v.string(), program: path })),
});

const built = v.strictObject({
  runtime,
  /** The end of a file's name beside the folder of dependencies -> what it says: an app type keeps notes there. */
  notes: v.record(v.picklist([".json", ".txt"]), v.string()),
});

/** What another server has built: what `install` there provided, and the notes beside its dependencies. */
export type Built = v.InferOutput<typeof built>;

// What a run of several servers knows of them. The one that got the push leads, and the others follow its word.
const group = v.strictObject({
  as: v.picklist(["lead", "peer"]),
  /** The name of this server, and of the one that leads. */
  name: v.string(),
  lead: v.string(),
  /** For the one that leads, the others: where they are, and a commit that they have. */
  peers: v.record(v.string(), v.strictObject({ address: v.string(), has: v.nullable(v.string()) })),
  /** The servers that the run leaves out. */
  without: v.array(v.string()),
  /** Process, or "cron" -> the servers on which it runs; default: all, and cron on the one that leads. */
  roles: v.record(v.string(), v.array(v.string())),
});

/** The servers of a run; null: this one alone. */
export type Group = v.InferOutput<typeof group>;

const promotes = v.strictObject({
  app: v.string(),
  id: releaseId,
  server: v.nullable(v.string()),
  files: v.nullable(v.string()),
  why: v.nullable(v.string()),
  interpreter: v.nullable(v.strictObject({ name: v.string(), version: v.string() })),
});
/** The proven release that a run puts live on its own app: of another app, here or on another server. */
export type Promotes = v.InferOutput<typeof promotes>;

const KINDS = ["deploy", "rollback", "restart"] as const;
/** The purpose of a run. */
export type Kind = (typeof KINDS)[number];

/** Fact name -> schema. A step names its needs and its provides from these. */
export const fact = {
  app: described(v.string(), "the app's name"),
  base: described(path, "the app's base folder"),
  repo: described(path, "the app's bare repository"),
  id: described(releaseId, "this run: sequence number and short sha"),
  kind: described(v.picklist(KINDS), "what the run is for"),
  sha: described(v.pipe(v.string(), v.regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)), "the commit, in full"),
  subject: described(v.string(), "the first line of the commit's message"),
  by: described(v.string(), "who started it"),
  startedAt: described(time, "when it was started"),
  server: described(server, "config.yml as it was then"),
  push: described(
    v.nullable(v.strictObject({ ref: v.string(), old: v.string() })),
    "the branch that the push wants to move, and where it was; null when nobody pushed",
  ),
  group: described(
    v.optional(v.nullable(group), null),
    "the servers that the run is for, and which of them this one is; null: this one alone",
  ),
  built: described(v.optional(v.nullable(built), null), "what the server that leads has built; null: it is built here"),
  skipHooks: described(v.boolean(), "the hooks in deploy.yml are skipped"),
  promotes: described(
    v.optional(v.nullable(promotes), null),
    "the release of another app that is promoted: its files as they were handed over, or why they were not; null: none",
  ),
  adopted: described(
    v.optional(v.nullable(v.strictObject({ runtime: v.nullable(runtime) })), null),
    "the built files of the promoted release are in place, with its runtime if that is usable here; null: not",
  ),
  config: described(config, "deploy.yml of the commit"),
  release: described(path, "the release's folder"),
  restarts: described(releaseId, "the live release, whose files are used again"),
  reason: described(v.string(), "why it is restarted"),
  envBefore: described(
    v.nullable(v.string()),
    "a stamp of the env file that the run's own settings replace once they are proven; null: it stays",
  ),
  runtime: described(runtime, "the result of install: PATH, variables, dependencies"),
  taken: described(v.nullable(v.strictObject(room)), "the disk space of release and dependencies; null: unknown"),
  live: described(v.nullable(releaseId), "the release that served before"),
  stoppedAt: described(v.nullable(time), "when the release that served before was told to stop"),
  port: described(
    v.nullable(v.number()),
    "the port that the new instance listens on, $PORT; null: it has no web process",
  ),
  isWarm: described(v.boolean(), "the instance was already running"),
  pid: described(v.nullable(v.number()), "the main process of the new instance; null: it has no web process"),
  healthyAt: described(time, "when the new instance was first healthy"),
  downtime: described(v.nullable(milliseconds), "ms between the stop of the old instance and the first healthy answer"),
  switchTime: described(milliseconds, "ms that the front took to send requests to the new release"),
  swapProbes: described(probes, "what dp's own requests saw during the switch"),
  verifyProbes: described(probes, "the same while the new release was watched"),
  drainProbes: described(probes, "the same while the old release was drained"),
  previous: described(v.nullable(path), "the release's folder that current named before"),
} as const;

export type FactName = keyof typeof fact;
