// The app's settings as text: dp's own strict .env dialect, and systemd's EnvironmentFile.
import { DpError } from "../errors.ts";
import { quoted } from "../text/text.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;
const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\", $: "$" };

/** Whether a word is a valid name of a shell variable. */
export const isName = (word: string): boolean => NAME.test(word);

/** Why a name is not allowed in an env file, or null when it is. */
export function nameProblem(name: string): string | null {
  if (!NAME.test(name)) return "must be letters, digits and underscores, not starting with a digit";
  if (name === "PATH") return "cannot be set here: use path in config.yml";
  if (name === "PORT") return "cannot be set here: use port in config.yml";
  if (/^(?:HOME|USER|LOGNAME)$|^(?:DP|GIT)_/.test(name)) return "is set by dp or git, choose another name";
  // These would run other code in every program that dp starts for the app.
  if (/^(?:BASH_ENV|ENV|BUN_OPTIONS|BUN_BE_BUN)$|^LD_/.test(name))
    return "changes how programs start, which is not allowed here";
  return null;
}

/**
 * Parses a .env text: `NAME=value`, optional `export ` before it, # comments, 'literal' and "with \n escapes" over
 * several lines; `$` is only a `$`. Throws DpError "config" with every problem as `file:line …`; values are never
 * shown.
 */
export function parseEnv(text: string, file: string): Record<string, string> {
  return Object.fromEntries(settingsIn(sourceOf(text), file).map(({ name, value }) => [name, value]));
}

/** A .env text for the parser: without byte order mark, with plain line ends. */
export const sourceOf = (text: string): string => text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");

/** A setting and its position in the source: its lines from `start` to `end`, its value from `at` to `to`. */
export interface Setting {
  name: string;
  value: string;
  start: number;
  at: number;
  to: number;
  end: number;
}

/** The settings of a source, in order. Throws as parseEnv does. */
export function settingsIn(source: string, file: string): Setting[] {
  const settings = new Map<string, Setting & { line: number }>();
  const problems: string[] = [];
  let line = 1;
  for (let start = 0; start < source.length;) {
    const found = entryAt(source, start);
    const { name, value, at = start, to = start, end } = found;
    const before = name === undefined ? undefined : settings.get(name);
    const problem = found.problem ?? (before ? `${name} is set twice, first in line ${before.line}` : undefined);
    if (problem !== undefined) problems.push(`${file}:${line} ${problem}`);
    else if (name !== undefined && value !== undefined) settings.set(name, { name, value, start, at, to, end, line });
    line += source.slice(start, end).split("\n").length - 1;
    start = end;
  }
  if (problems.length > 0) {
    const count = `${problems.length} problem${problems.length === 1 ? "" : "s"}`;
    throw new DpError("config", `${file}: ${count}`, { lines: problems });
  }
  return [...settings.values()];
}

/** One parsed entry; an empty line or comment has no name. `end`: the start of the next line. */
interface Entry {
  end: number;
  name?: string;
  value?: string;
  /** The start and end of the value, quotes included. */
  at?: number;
  to?: number;
  problem?: string;
}

function entryAt(source: string, start: number): Entry {
  const newline = source.indexOf("\n", start);
  const end = newline < 0 ? source.length : newline + 1;
  const line = source.slice(start, end).trimEnd();
  if (/^\s*(?:#|$)/.test(line)) return { end };
  const [head, name] = /^\s*(?:export[ \t]+)?([^\s=]+)=/.exec(line) ?? [];
  if (head === undefined || name === undefined)
    return { end, problem: "must be NAME=value, without spaces around the =" };
  const problem = nameProblem(name);
  const at = start + head.length;
  const quote = source[at];
  const value = quote === '"' || quote === "'" ? quotedAt(source, at) : unquotedAt(line.slice(head.length), at, end);
  // An invalid name may be a line of a secret that was pasted without quotes, so it is not shown.
  if (!NAME.test(name)) return { end, problem: `the name before the = ${problem}` };
  if (problem !== null) return { end: value.end, problem: `${name} ${problem}` };
  if (value.problem !== undefined) return { end: value.end, problem: `${name}: ${value.problem}` };
  if (CONTROL.test(value.value ?? "")) return { end: value.end, problem: `${name}: has a control character` };
  return { ...value, name, at };
}

function unquotedAt(rest: string, at: number, end: number): Entry {
  const value = rest.replace(/(?:^|\s+)#.*$/, "");
  if (/^\s/.test(value)) return { end, problem: "has a space after the =: remove it, or put the value in quotes" };
  if (value.includes("\r")) return { end, problem: "has a control character" };
  return { end, value, to: at + value.length };
}

function quotedAt(source: string, start: number): Entry {
  const quote = source[start]!;
  let value = "";
  let problem: string | undefined;
  let at = start + 1;
  for (; at < source.length && source[at] !== quote; at++) {
    const escaped = quote === '"' && source[at] === "\\" ? source[++at] : undefined;
    if (escaped !== undefined && ESCAPES[escaped] === undefined) problem = 'has an unknown escape, write \\\\ for "\\"';
    value += escaped === undefined ? (source[at] ?? "") : (ESCAPES[escaped] ?? "");
  }
  // After an open quote the rest may be its content, so nothing more can be checked.
  if (at >= source.length) return { end: source.length, problem: `the quote (${quote}) is never closed` };
  const newline = source.indexOf("\n", at);
  const end = newline < 0 ? source.length : newline + 1;
  if (!/^\s*(?:\s#.*)?$/.test(source.slice(at + 1, end).trimEnd())) problem = "has text after the closing quote";
  return problem === undefined ? { end, value, to: at + 1 } : { end, problem };
}

/**
 * Settings in dp's own dialect, which parseEnv reads back unchanged. Throws DpError "config" for those that it would
 * refuse.
 */
export function formatEnv(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${formatValue(name, value)}\n`)
    .join("");
}

/** The value of a setting as written after its `=`. Throws DpError "config" for one that parseEnv would refuse. */
export function formatValue(name: string, value: string): string {
  const problem = nameProblem(name) ?? (CONTROL.test(value) ? "has a control character" : null);
  if (problem !== null) throw new DpError("config", `${quoted(name)} ${problem}`);
  if (/^[A-Za-z0-9_@%+:,./=-]*$/.test(value)) return value;
  // Single quotes mean the same to dp, to a shell and to systemd.
  if (!/['\n\r]/.test(value)) return `'${value}'`;
  const escaped = value
    .replace(/[\\"$]/g, "\\$&")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
  return `"${escaped}"`;
}
