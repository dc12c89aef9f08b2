// Hints for an unhealthy app: from its answer, and from its output.
import { basename } from "node:path";
import type { HealthCheck } from "../config/types.ts";
import type { Answer } from "./probe.ts";

/** An error with its kind, as Python and node write it. */
const ERROR = /^\s*(?:Uncaught )?[\w.]*(?:Error|Exception)(?::| \[|$)/;

/** The usual meaning of a bad answer, as a hint; null: unknown. `words`: the last lines of the app's log. */
export function hintForAnswer(
  { status, location }: Pick<Answer, "status" | "location">,
  check: HealthCheck,
  words: readonly string[] = [],
) {
  const { path, host } = check;
  if (status === 400 && host === undefined)
    return `if the app checks the Host header (Django: ALLOWED_HOSTS), name one that it takes: healthCheck: {path: ${path}, host: example.com}`;
  if (status === 401 || status === 403) return "name a path that needs no login: healthCheck: /health";
  if (status === 404) return `the app has no ${path}: name one of its paths that answers 2xx${withHost(host)}`;
  if (status === 500 && words.some((line) => ERROR.test(line))) return "the app itself fails: its error stands above";
  if (status === 500)
    return "the app itself fails: look for a migration that was not run (hooks: {preDeploy: ...}) or a missing setting";
  if (status === null || status < 300 || status > 399) return null;
  if (location?.startsWith("https:"))
    return `the app wants https (Django: SECURE_SSL_REDIRECT): healthCheck: {path: ${path}, headers: {X-Forwarded-Proto: https}}`;
  return `a redirect does not count as healthy: choose a path that answers 2xx${location ? `, such as the one it leads to` : ""}`;
}

const withHost = (host: string | undefined) =>
  host === undefined ? ", healthCheck: /PATH" : `, healthCheck: {path: /PATH, host: ${host}}`;

/** How many characters of a line are looked at: a pattern may take long for one of many. */
const LOOKED_AT = 2_000;
const starts = (lines: readonly string[]) => lines.map((line) => line.slice(0, LOOKED_AT));

const READ_ONLY = /\bEROFS\b|read-?only (?:file ?system|database)|attempt to write a readonly database/i;
const PATH = /(?:^|[\s'"`(=[])(\/[^\s'"`:,)\]]+)/;

/** The hint for an app that could not write into its release; null: its last lines do not show that. */
export function hintForLines(whole: readonly string[]): string | null {
  const lines = starts(whole);
  const at = lines.findLastIndex((line) => READ_ONLY.test(line));
  if (at < 0) return null;
  const named = PATH.exec(lines[at]!)?.[1];
  const what = named === undefined ? "the release" : named;
  const name = named === undefined ? "data" : inRelease(named);
  return `${what} is read-only, and new with each deploy: keep what the app writes in shared: {dirs: [${name}]} of deploy.yml`;
}

const NO_TABLE = /\bno such table\b|\brelation "[^"]*" does not exist|\bTable '[^']*' doesn't exist/;

/** The hint for an app whose database has no tables yet; null: its last lines do not show that. */
export function hintForTables(lines: readonly string[], app: string): string | null {
  if (!starts(lines).some((line) => NO_TABLE.test(line))) return null;
  return `the database lacks a table: make it before the app starts (hooks: {preDeploy: ...}); or name a healthCheck that needs none, and make it once by dp run ${app} -- COMMAND`;
}

const NO_PACKAGE = /\bModuleNotFoundError: No module named '([\w.-]+)'/;
const NO_MODULE = /\bCannot find (?:module|package) '((?:@[\w.-]+\/)?[\w-][\w.-]*)/;
const NO_KEY = /\bKeyError: '([A-Z][A-Z0-9_]+)'/;
/** The word in code, or the frame in Python's own os, which is all that there is of a `python3 -c`. */
const OF_ENVIRON = /\benviron\b|"(?:<frozen os>|[^"]*\/os\.py)", line \d+, in __getitem__/;
const ENVIRON = /\benviron\[["'](\w+)["']\]/g;
const UNSET = /Error: (?:.* )?([A-Z][A-Z0-9]*_[A-Z0-9_]+) (?:is not set|is required|is missing|must be set)\b/;

/** The hint for an app that has ended because it lacks a package or a setting; null: its last lines do not show that. */
export function hintForEnd(whole: readonly string[], app: string): string | null {
  const lines = starts(whole);
  const python = lastMatch(lines, NO_PACKAGE);
  if (python !== undefined) return `no package of the app has ${python}: add the one that has it to the dependencies`;
  const node = lastMatch(lines, NO_MODULE);
  if (node !== undefined)
    return `the app lacks ${node}: add it to the dependencies in package.json; devDependencies are only there during the build`;
  const setting = settingWanted(lines);
  return setting === null ? null : hintForSetting(setting, app);
}

export const hintForSetting = (setting: string, app: string) =>
  `the app wants the setting ${setting}: dp env ${app} set ${setting}`;

/** The setting for want of which a program has ended; null: its last lines do not show that. */
export function settingWanted(whole: readonly string[]): string | null {
  const lines = starts(whole);
  return lastMatch(lines, UNSET) ?? keyWanted(lines);
}

/** In Python any dictionary ends with a KeyError. */
function keyWanted(lines: readonly string[]): string | null {
  const key = lastMatch(lines, NO_KEY);
  if (key === undefined || !lines.some((line) => OF_ENVIRON.test(line))) return null;
  const asked = lines.flatMap((line) => [...line.matchAll(ENVIRON)].map((found) => found[1]));
  return asked.length === 0 || asked.includes(key) ? key : null;
}

const lastMatch = (lines: readonly string[], pattern: RegExp) =>
  lines.map((line) => pattern.exec(line)?.[1]).findLast(Boolean);

/** The first folder below a release on a path; for a file at its top a folder that would have to be made. */
function inRelease(path: string): string {
  const inside = /\/releases\/[^/]+\/(.+)$/.exec(path)?.[1]?.split("/");
  if (inside === undefined) return basename(path);
  // A name without an ending is that of a folder which the app wanted to make.
  return inside.length > 1 || !inside[0]!.includes(".") ? inside[0]! : "data";
}

/** The last `count` lines of an app's log, without those about dp's own requests. */
export function withoutProbes(lines: readonly string[], path: string | undefined, count: number): string[] {
  const own = path === undefined ? null : new RegExp(`\\bGET ${RegExp.escape(path)} HTTP/1\\.[01]\\b`);
  return lines.filter((line) => !line.includes("dp-health-check") && own?.test(line) !== true).slice(-count);
}
