// The options of a command as the command reads them, and its two forms of answer.
import type { Access } from "../access/role.ts";
import { waitTime } from "../config/duration.ts";
import { DpError } from "../errors.ts";
import { printAll, printJson, say } from "../text/say.ts";

export { print } from "../text/say.ts";

/** The last argument of `command`: the least role that may use it by a key; null: no key may. */
export const byKey = (role: (Access["role"] & {}) | null, more: Omit<Access, "role"> = {}): Declared => ({
  role,
  ...more,
});

/** As cac keeps it with the command. */
type Declared = Access & { ignoreOptionDefaultValue?: boolean };

/** What a command has declared. */
export const accessOf = ({ config }: { config: Declared }): Access => config;

/** Options by name, `skipHooks`: the text of those with a value, otherwise true, or false for `--no-tty`. */
export type Options = Record<string, string | boolean>;

/** The result of a command: its exit code, and the run that it was about. */
export type Outcome = number | void | { code: number; run: string | null };

/** The description of a command that does not appear in the help. */
export const HIDDEN = "(internal)";

/** Prints an answer for programs, on stdout. */
export const json = (value: unknown) => printJson(value, 2);
/** Prints the value if `--json` asks for it, otherwise lines for people. */
export function answer(options: Options, value: unknown, lines: () => readonly string[]): void {
  if (options["json"]) json(value);
  else printAll(lines());
}
/** Prints a message that is not part of the answer, on stderr. */
export const warn = (line: string) => say(`dp: ${line}`);

/** The value of an option as text, or undefined. */
export function textOf(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** The value of an option that must be a whole number from `least` to `most`. Throws DpError "usage". */
export function whole(text: string | undefined, name: string, most: number, least = 0): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
  const range = least > 0 ? `from ${least} to ${most}` : `up to ${most}`;
  throw new DpError("usage", `${name} must be a whole number ${range}, not ${JSON.stringify(text)}`);
}

/** The option `--wait` in ms, from 30s, 5m, or plain seconds; empty without it. Throws DpError "usage". */
export function waitOption(options: Options): { wait?: number } {
  const text = textOf(options, "wait");
  const wait = text === undefined ? undefined : waitTime(text);
  if (wait === null) throw new DpError("usage", `--wait must be a time, not ${JSON.stringify(text)}: 0, 30s, 5m`);
  return given("wait", wait);
}

/** The declaration of that option. */
export const WAIT = ["--wait <time>", "How long to wait for a running deploy, 30s or 5m; 0: not at all"] as const;

/** The declaration of the option that leaves servers out. */
export const WITHOUT = ["--without <servers>", "Leave out these servers of the app, on purpose"] as const;

/** That option as names; empty without it. */
export function withoutOption(options: Options): { without?: string[] } {
  return given("without", textOf(options, "without")?.split(",").filter(Boolean));
}

/** The declaration of the option by which a command runs on other servers of the app, too: see spread.ts. */
export const ON = [
  "--on <servers>",
  "Run on these servers of the app, b,c, or on all; default: on this one alone",
] as const;

/** The option `--only`: the apps that a key may see; undefined: all. */
export const only = (options: Options): string[] | undefined => textOf(options, "only")?.split(",").filter(Boolean);

/** For commands about one app or the whole server: dp on the laptop names the folder's app without it. */
export const ALL = ["--all", "The whole server; from a laptop, no APP means the app of the folder"] as const;

/** The app of such a command, undefined for the server. Throws DpError "usage" for both. */
export function oneOrAll(app: string | undefined, options: Options): string | undefined {
  if (app === undefined || options["all"] !== true) return app;
  throw new DpError("usage", `either ${app} or --all`);
}

/** `{key: value}`, or nothing when there is no value, so that optional keys stay absent. */
export const given = <T>(key: string, value: T | undefined) => (value === undefined ? {} : { [key]: value });
