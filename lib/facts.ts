// The vocabulary: every fact that steps share, and the schema that it keeps.
import * as v from "valibot";
import { isReleaseId } from "./paths.ts";

const path = v.pipe(v.string(), v.startsWith("/"));
const releaseId = v.pipe(v.string(), v.check(isReleaseId, "not a release such as 42-3f9c2ab"));
const time = v.pipe(v.string(), v.isoTimestamp());
const milliseconds = v.pipe(v.number(), v.minValue(0));
const described = <S extends v.GenericSchema>(schema: S, text: string) => v.pipe(schema, v.description(text));

const healthCheck = v.strictObject({
  path: v.string(),
  host: v.exactOptional(v.string()),
  status: v.exactOptional(v.array(v.number())),
  timeout: milliseconds,
  interval: milliseconds,
  startTimeout: milliseconds,
});

const config = v.strictObject({
  name: v.string(),
  type: v.string(),
  healthCheck,
  command: v.exactOptional(v.string()),
  build: v.exactOptional(v.string()),
  hooks: v.strictObject({ preDeploy: v.exactOptional(v.string()), postDeploy: v.exactOptional(v.string()) }),
});

const server = v.strictObject({
  port: v.number(),
  manager: v.string(),
  env: v.string(),
  branch: v.string(),
  host: v.string(),
  keep: v.number(),
  strategy: v.picklist(["restart"]),
  gate: v.boolean(),
  user: v.exactOptional(v.string()),
  path: v.exactOptional(v.string()),
  stopTimeout: milliseconds,
  stepTimeout: milliseconds,
});

const runtime = v.strictObject({
  path: v.array(path),
  env: v.record(v.string(), v.string()),
  dependencies: v.nullable(path),
});

/** Fact name -> schema. A step names what it needs and provides out of these. */
export const fact = {
  app: described(v.string(), "the app's name"),
  base: described(path, "the app's base folder"),
  repo: described(path, "the app's bare repository"),
  id: described(releaseId, "this run: sequence number and short sha"),
  kind: described(v.picklist(["deploy", "rollback"]), "what the run is for"),
  sha: described(v.pipe(v.string(), v.regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)), "the commit, in full"),
  subject: described(v.string(), "the first line of the commit's message"),
  by: described(v.string(), "who started it"),
  startedAt: described(time, "when it was started"),
  server: described(server, "config.yml as it was then"),
  skipHooks: described(v.boolean(), "hooks of deploy.yml are left out"),
  config: described(config, "deploy.yml of the commit"),
  release: described(path, "the release's folder"),
  runtime: described(runtime, "what install left: PATH, variables, dependencies"),
  live: described(v.nullable(releaseId), "the release that served before"),
  stoppedAt: described(v.nullable(time), "when the release that served before was told to stop"),
  port: described(v.number(), "the port that the new instance listens on, $PORT"),
  pid: described(v.number(), "the main process of the new instance"),
  healthyAt: described(time, "when the new instance was first healthy"),
  downtime: described(v.nullable(milliseconds), "ms between the stop of the old instance and the first healthy answer"),
  previous: described(v.nullable(path), "the release's folder that current named before"),
} as const;

export type FactName = keyof typeof fact;
