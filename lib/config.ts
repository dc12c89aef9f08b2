// deploy.yml and config.yml: read strictly, every problem at once, with line, column and a suggestion.
import * as v from "valibot";
import { DpError } from "./errors.ts";
import type { Limits } from "./manager.ts";
import { deploySchema } from "./config/deploy-schema.ts";
import { REFUSED, typeProblems, type DockerConfig } from "./config/docker-schema.ts";
import { appTypeNames, frontNames, managerNames } from "./registry.ts";
import { serverSchema } from "./config/server-schema.ts";
import { closest } from "./suggestion.ts";
import { setKeys, type Scalar } from "./config/yaml-edit.ts";
import { readYaml, yamlError, type Path, type Problem, type Yaml } from "./config/yaml.ts";

/** How a release proves that it is healthy. Times are in ms. */
export interface HealthCheck {
  path: string;
  /** The Host header; default: the address itself. */
  host?: string;
  /** The statuses that count; default: any from 200 to 299. */
  status?: number[];
  /** For one answer. */
  timeout: number;
  /** The first pause between two tries; it grows from try to try. */
  interval: number;
  /** From the start to the first healthy answer. */
  startTimeout: number;
}

/** What outlives releases: names relative to the app's own folder. */
export interface Shared {
  dirs: string[];
  files: string[];
}

/** What a commit asks for. */
export interface DeployConfig {
  name: string;
  type: string;
  healthCheck: HealthCheck;
  command?: string;
  build?: string;
  docker?: DockerConfig;
  hooks: { preDeploy?: string; postDeploy?: string };
  shared?: Shared;
}

/** What the operator decided. Times are in ms. */
export interface ServerConfig {
  port: number;
  manager: string;
  env: string;
  branch: string;
  host: string;
  keep: number;
  strategy: "blue-green" | "restart";
  front: string;
  protocol: "http" | "tcp";
  trustedProxies: string[];
  verifyTime: number;
  drainTimeout: number;
  holdTimeout: number;
  keepWarm: number;
  maxFailed?: number;
  docker?: Limits;
  gate: boolean;
  user?: string;
  path?: string;
  stopTimeout: number;
  stepTimeout: number;
}

/** Reads deploy.yml; throws DpError "config" whose lines are all its problems. `types`: the app types allowed. */
export function parseDeployConfig(text: string, file = "deploy.yml", types = appTypeNames()): DeployConfig {
  return parse(deploySchema(types), text, file, typeProblems);
}

/** Reads config.yml; throws DpError "config" whose lines are all its problems. `managers`, `fronts`: those allowed. */
export function parseServerConfig(
  text: string,
  file = "config.yml",
  managers = managerNames(),
  fronts = frontNames(),
): ServerConfig {
  const { strategy, ...rest } = parse(serverSchema(managers, fronts), text, file);
  const canRunTwice = rest.front !== "none";
  if (!canRunTwice && (strategy === "blue-green" || rest.protocol === "tcp")) {
    const what = strategy === "blue-green" ? "strategy: blue-green" : "protocol: tcp";
    throw new DpError("config", `${file}: ${what} needs a front, and front is none`, { hint: "write front: relay" });
  }
  return { ...rest, strategy: strategy ?? (canRunTwice ? "blue-green" : "restart") };
}

/** Sets values of a config.yml and leaves every other character of it; durations as written: "30s". */
export function setServerValues(
  text: string,
  values: Readonly<Partial<Record<keyof ServerConfig, Scalar | undefined>>>,
  file = "config.yml",
): string {
  return setKeys(text, values, file);
}

function parse<S extends v.GenericSchema>(
  schema: S,
  text: string,
  file: string,
  across: (value: Mapping) => [key: string, what: string][] = () => [],
): v.InferOutput<S> {
  const yaml = readYaml(text);
  if (yaml.isBroken) throw yamlError(file, yaml, yaml.problems);
  if (!isMapping(yaml.value)) {
    throw yamlError(file, yaml, [{ offset: 0, path: [], what: 'must be lines of "key: value"' }, ...yaml.problems]);
  }
  const problems = [...yaml.problems];
  // What the reader refused has no value to judge: one line about each place is enough.
  const placeOf = (problem: Problem) => problem.path.join("\0");
  const known = new Set(problems.map(placeOf));
  const add = (problem: Problem) => {
    if (!known.has(placeOf(problem))) problems.push(problem);
    known.add(placeOf(problem));
  };
  takeUnknown(schema as Part, yaml.value, [], (path, part, what) =>
    add({ offset: yaml.offset(path, part), path, what }),
  );
  for (const [key, what] of across(yaml.value)) add({ offset: yaml.offset([key], "key"), path: [key], what });
  const result = v.safeParse(schema, yaml.value, { abortPipeEarly: true });
  for (const issue of result.issues ?? []) problemsOf(issue, [], yaml).forEach(add);
  if (problems.length > 0 || !result.success) throw yamlError(file, yaml, problems);
  return result.output;
}

type Mapping = Record<string, unknown>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the walk over a schema looks at: of mappings the entries, through "optional" and "one of". */
interface Part {
  entries?: Record<string, Part>;
  wrapped?: Part;
  options?: readonly (Part | string)[];
}

function entriesOf(part: Part): Record<string, Part> | undefined {
  if (part.entries || !part.options) return part.entries ?? (part.wrapped && entriesOf(part.wrapped));
  return part.options.map((option) => (typeof option === "string" ? undefined : entriesOf(option))).find(Boolean);
}

type Report = (path: Path, part: "key" | "value", what: string) => void;

// valibot reports the first unknown key of a mapping only, and takes a list for a mapping: both are found, and
// taken out, before.
function takeUnknown(part: Part, mapping: unknown, path: Path, report: Report): void {
  const entries = entriesOf(part);
  if (!entries || !isMapping(mapping)) return;
  for (const [key, value] of Object.entries(mapping)) {
    const inner = [...path, key];
    if (!Object.hasOwn(entries, key)) {
      const near = closest(key, Object.keys(entries));
      const hint = near === null ? `known are ${Object.keys(entries).join(", ")}` : `did you mean "${near}"?`;
      report(inner, "key", REFUSED[inner.join(".")] ?? `unknown key, ${hint}`);
      delete mapping[key];
    } else if (Array.isArray(value) && entriesOf(entries[key]!)) {
      report(inner, "value", "must be a mapping of keys to values, not a list");
      mapping[key] = null;
    } else takeUnknown(entries[key]!, value, inner, report);
  }
}

// An issue of "one of" has the issues of every branch: those deeper inside tell which branch was meant.
function problemsOf(issue: v.BaseIssue<unknown>, outer: Path, yaml: Yaml): Problem[] {
  const path = [...outer, ...(issue.path ?? []).map((item) => item.key as string | number)];
  const deeper = (issue.issues ?? []).filter((inner) => inner.path !== undefined);
  if (deeper.length > 0) return deeper.flatMap((inner) => problemsOf(inner, path, yaml));
  return [{ offset: yaml.offset(path, "value"), path, what: issue.message }];
}
