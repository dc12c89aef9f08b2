// What the keys of deploy.yml mean for each other: the rules that no key has by itself.
import { quoted } from "../text/text.ts";
import { dockerProblems } from "./docker-schema.ts";
import { misplaced } from "./misplaced.ts";
import { nameFrom } from "./process-schema.ts";
import type { Path } from "./yaml.ts";

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * What is wrong between the keys of a deploy.yml as it was read, or with it for that app: nothing of it may have been
 * judged yet.
 */
export function deployProblems(value: Record<string, unknown>, app?: string): { path: Path; what: string }[] {
  return [
    ...appProblems(value, app),
    ...misplaced(value, app),
    ...dockerProblems(value),
    ...webProblems(value),
    ...nameProblems(value["cron"]),
    ...staticProblems(value),
    ...containerProblems(value),
  ];
}

function appProblems({ name }: Record<string, unknown>, app: string | undefined): { path: Path; what: string }[] {
  if (app === undefined || typeof name !== "string" || name === app) return [];
  const other = /^[a-z][a-z0-9-]*$/.test(name)
    ? `, or push to ${name}'s repository, or on the server: dp setup APP --for ${name}`
    : "";
  return [
    { path: ["name"], what: `deploy.yml is for ${quoted(name)}, and this is "${app}": write name: ${app}${other}` },
  ];
}

function containerProblems({ type, processes }: Record<string, unknown>): { path: Path; what: string }[] {
  const all = type === "docker" && isMapping(processes) ? Object.entries(processes) : [];
  return all.flatMap(([name, process]) => {
    const check = isMapping(process) ? process["healthCheck"] : undefined;
    const what = "would run beside the container, not in it; write stayUp";
    return isMapping(check) && "command" in check
      ? [{ path: ["processes", name, "healthCheck", "command"], what }]
      : [];
  });
}

function staticProblems(value: Record<string, unknown>): { path: Path; what: string }[] {
  const keys = value["type"] === "static" ? ["processes", "cron"].filter((key) => key in value) : [];
  return keys.map((key) => ({ path: [key], what: "nothing is started for type static, remove it" }));
}

function webProblems(value: Record<string, unknown>): { path: Path; what: string }[] {
  const problems: { path: Path; what: string }[] = [];
  const processes = isMapping(value["processes"]) ? value["processes"] : {};
  const isNamed = "web" in processes;
  if (isNamed && "command" in value)
    problems.push({ path: ["command"], what: "is given as processes.web as well, keep one of them" });
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

function nameProblems(cron: unknown): { path: Path; what: string }[] {
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
