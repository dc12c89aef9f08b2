// The rules between keys of deploy.yml.
import { quoted } from "../text/text.ts";
import { ownKeys, type AppSettings, type Declared } from "./declared.ts";
import { isMapping, type Mapping } from "./parse.ts";
import { misplaced } from "./misplaced.ts";
import { nameFrom } from "./process-schema.ts";
import type { Wrong } from "./yaml.ts";

/** Errors between the keys of a deploy.yml, or between it and the app; the values are as read, not yet validated. */
export function deployProblems(value: Mapping, types: Declared<AppSettings>, app?: string): Wrong[] {
  return [
    ...appProblems(value, app),
    ...misplaced(value, app),
    ...typeProblems(value, types),
    ...webProblems(value),
    ...nameProblems(value["cron"]),
  ];
}

function appProblems({ name }: Mapping, app: string | undefined): Wrong[] {
  if (app === undefined || typeof name !== "string" || name === app) return [];
  const other = /^[a-z][a-z0-9-]*$/.test(name)
    ? `, or push to ${name}'s repository, or on the server: dp setup APP --for ${name}`
    : "";
  return [
    { path: ["name"], what: `deploy.yml is for ${quoted(name)}, and this is "${app}": write name: ${app}${other}` },
  ];
}

// Rules that depend on the type: keys of other types, and keys for processes of a type that starts none.
function typeProblems(value: Mapping, types: Declared<AppSettings>): Wrong[] {
  const type = value["type"];
  if (typeof type !== "string") return [];
  const own = Object.hasOwn(types, type) ? types[type] : undefined;
  const others = Object.keys(ownKeys(types, "deploy")).filter((key) => key in value && key !== type);
  const refused = own?.startsNothing ? ["command", "processes", "cron"].filter((key) => key in value) : [];
  return [
    ...others.map((key) => ({ path: [key], what: `is only for type ${key}, remove it` })),
    ...refused.map((key) => ({ path: [key], what: `type ${type} starts nothing, remove it` })),
    ...(own?.problems?.(value) ?? []),
  ];
}

function webProblems(value: Mapping): Wrong[] {
  const problems: Wrong[] = [];
  const processes = isMapping(value["processes"]) ? value["processes"] : {};
  const isNamed = "web" in processes;
  if (isNamed && "command" in value)
    problems.push({ path: ["command"], what: "is also given as processes.web, keep one of them" });
  const web = processes["web"];
  for (const key of isMapping(web) ? Object.keys(web) : []) {
    if (key === "command") continue;
    const what =
      key === "healthCheck" ? "web has the healthCheck at the top of the file, write it there" : "is not for web";
    problems.push({ path: ["processes", "web", key], what });
  }
  const others = Object.keys(processes).length + (Array.isArray(value["cron"]) ? value["cron"].length : 0);
  const hasWeb = isNamed || "command" in value || others === 0;
  if (hasWeb && !("healthCheck" in value))
    problems.push({ path: ["healthCheck"], what: 'missing, add "healthCheck: /health"' });
  return problems;
}

function nameProblems(cron: unknown): Wrong[] {
  const entries = (Array.isArray(cron) ? cron : []).map((entry: unknown) => (isMapping(entry) ? entry : {}));
  const names = entries.map(({ name, command }) => String(name ?? nameFrom(String(command ?? ""))));
  return names.flatMap((name, index) => {
    const first = names.indexOf(name);
    if (first === index || !("command" in entries[index]!)) return [];
    const what =
      entries[index]!["name"] === undefined
        ? `is named ${name} like an entry before it, give it a name`
        : `${name} is the name of an entry before it`;
    return [{ path: ["cron", index], what }];
  });
}
