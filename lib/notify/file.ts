// notify.yml: whom dp tells, and what. Root writes it, and it is read as strictly as config.yml.
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { EVENTS, type EventName, type Notifier } from "../contracts/notifier.ts";
import { duration, mapping, must, oneOf } from "../config/field.ts";
import { isMapping, parse, type Mapping } from "../config/parse.ts";
import type { Wrong } from "../config/yaml.ts";
import { codeOf, DpError } from "../errors.ts";
import { readText } from "../host/files.ts";
import { deployments, isAppName } from "../paths.ts";
import { notifiers } from "../registry.ts";
import { address } from "./http.ts";
import type { Target, Targets } from "./targets.ts";

/** The file. */
export const notifyFile = () => `${deployments()}/notify.yml`;

const NAME = /^[a-z](?:-?[a-z0-9]){0,27}$/;
const eventNames = Object.keys(EVENTS) as EventName[];

/** Throws DpError "usage" for what cannot be the name of a target. */
export function requireTargetName(name: string): void {
  if (NAME.test(name)) return;
  throw new DpError("usage", `${JSON.stringify(name)} cannot be the name of a target`, {
    hint: "a lower-case letter, then letters, digits and single dashes: team, ops-mail",
  });
}

const targetName = v.pipe(v.string(), v.regex(NAME, must("the name of a target")));
const names = v.array(targetName, must("a list of targets"));
const secretFile = v.pipe(v.string(must("a path")), v.regex(/^\/[^\x00-\x1f]+$/, must("an absolute path")));

/** A secret value, or the file that holds it. */
function orFile(schema: v.GenericSchema): v.GenericSchema {
  const file = mapping({ file: secretFile });
  return v.lazy((input) => (isMapping(input) ? file : schema)) as v.GenericSchema;
}

function targetSchema(kinds: readonly Notifier[]) {
  const entries: Record<string, v.GenericSchema> = {};
  for (const { keys, secrets } of kinds) {
    for (const [key, schema] of Object.entries(keys as Record<string, v.GenericSchema>)) {
      const inner =
        schema.type === "exact_optional" ? (schema as unknown as { wrapped: v.GenericSchema }).wrapped : schema;
      entries[key] = v.exactOptional(secrets.includes(key) ? orFile(inner) : inner);
    }
  }
  return v.strictObject({
    ...entries,
    events: v.exactOptional(v.array(oneOf(eventNames), must("a list of events"))),
    apps: v.exactOptional(
      v.array(v.pipe(v.string(must("the name of an app")), v.check(isAppName, must("the name of an app")))),
    ),
  });
}

function schemaOf(kinds: readonly Notifier[]) {
  return mapping({
    to: v.optional(v.record(targetName, targetSchema(kinds), must("a mapping of names to targets")), {}),
    events: v.optional(v.record(oneOf(eventNames), names, must("a mapping such as {deployed: [team]}")), {}),
    remind: v.exactOptional(duration("1m", "48h", "How often it is said again that an app is down. Default: never.")),
    heartbeat: v.exactOptional(address("Asked after each look that could be made.")),
  });
}

/** What the keys of one target require of each other, by its kind. */
function problemsOf(name: string, target: Mapping, kinds: readonly Notifier[]): Wrong[] {
  const path = ["to", name];
  const own = kinds.filter((kind) => kind.name in target);
  const known = kinds.map((kind) => kind.name).join(", ");
  const [kind, other] = own;
  if (kind === undefined) return [{ path, what: `needs the key of its kind, one of ${known}` }];
  if (other !== undefined) return [{ path, what: `is ${kind.name} and ${other.name}, give it one kind` }];
  const keys = kind.keys as Record<string, v.GenericSchema>;
  const all = kinds.flatMap((each) => Object.keys(each.keys));
  const foreign = Object.keys(target).filter((key) => all.includes(key) && !(key in keys));
  const missing = Object.keys(keys).filter((key) => keys[key]!.type !== "exact_optional" && !(key in target));
  const problem = kind.problem?.(target) ?? null;
  return [
    ...foreign.map((key): Wrong => ({ path: [...path, key], what: `is not a key of ${kind.name}, remove it` })),
    ...missing.map((key): Wrong => ({ path, what: `${kind.name} needs ${key}` })),
    ...(problem === null ? [] : [{ path, what: problem }]),
  ];
}

function rulesBy(kinds: readonly Notifier[]) {
  return (value: Mapping): Wrong[] => {
    const to = isMapping(value["to"]) ? value["to"] : {};
    const of = (name: string) => (isMapping(to[name]) ? problemsOf(name, to[name], kinds) : []);
    const events = isMapping(value["events"]) ? value["events"] : {};
    const unknown = Object.entries(events).flatMap(([event, list]) =>
      (Array.isArray(list) ? list : [])
        .filter((name) => typeof name === "string" && !(name in to))
        .map((name): Wrong => ({ path: ["events", event], what: `there is no target ${JSON.stringify(name)} in to` })),
    );
    return [...Object.keys(to).flatMap(of), ...unknown];
  };
}

/** The targets of a text of notify.yml, their secrets read. Throws DpError "config". */
export async function parseNotify(text: string, file = notifyFile()): Promise<Targets> {
  const kinds = await notifiers();
  // A file of comments only is an empty one.
  const isEmpty = text.split("\n").every((line) => /^\s*(?:#.*)?$/.test(line));
  const read = parse(schemaOf(kinds), isEmpty ? "to: {}\n" : text, file, rulesBy(kinds));
  const to: Record<string, Target> = {};
  for (const [name, target] of Object.entries(read.to)) to[name] = targetOf(name, target, kinds);
  const { events, remind, heartbeat } = read;
  return { to, events, ...(remind === undefined ? {} : { remind }), ...(heartbeat === undefined ? {} : { heartbeat }) };
}

function targetOf(name: string, { events, apps, ...values }: Mapping, kinds: readonly Notifier[]): Target {
  const settings: Record<string, string> = {};
  for (const [key, value] of Object.entries(values))
    settings[key] = isMapping(value) ? secretIn(name, String(value["file"])) : String(value);
  const kind = kinds.find((each) => each.name in values)!;
  return {
    kind: kind.name,
    settings,
    ...(events === undefined ? {} : { events: events as EventName[] }),
    ...(apps === undefined ? {} : { apps: apps as string[] }),
  };
}

function secretIn(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new DpError(
      "config",
      `${notifyFile()}: the file of target ${name} cannot be read: ${file}, ${codeOf(error)}`,
    );
  }
}

/** The targets of notify.yml; null: there is no such file. Throws DpError "config" and "host". */
export async function readNotify(): Promise<Targets | null> {
  try {
    const text = await readText(notifyFile());
    return text === null ? null : await parseNotify(text);
  } catch (error) {
    if (codeOf(error) !== "EACCES") throw error;
    throw new DpError("host", `${notifyFile()}: permission denied`, { hint: "run it as root, with sudo" });
  }
}
