// The words of a command line as far as dp on the laptop reads them: the remote that is named, the app put in its place,
// and what the command does with the terminal and with stdin. Everything else goes along as it is.
import { DpError } from "../errors.ts";
import { isAppName } from "../paths.ts";

/** A command line without the option that names the remote. */
export interface Typed {
  words: string[];
  /** The value of `-r` or `--remote`; the last one counts. */
  remote: string | undefined;
}

/** A word that may stand before the app's name: `dp lock status APP`. */
export const BEFORE_APP: Readonly<Record<string, string>> = { lock: "status", cron: "run", fleet: "sync" };
/** Commands about one app or, with `--all`, about the whole server. */
const WHOLE = ["status", "audit", "doctor", "reconcile"];
/** Those that may change something: about the whole server only with `--all`, where the folder has several apps there. */
const CHANGES = ["reconcile", "--fix"];
const ENV_ACTIONS = ["list", "get", "set", "unset", "import"];

const isOption = (word: string) => word.startsWith("-") && word !== "-";

/** How many of the words are dp's: those before `--`, and of `dp run` none after the app's or the program's name. */
function ownCount(words: readonly string[]): number {
  const command = commandAt(words);
  const end = words.indexOf("--");
  const until = end < 0 ? words.length : end;
  if (words[command] !== "run") return until;
  const next = words.findIndex((word, at) => at > command && !isOption(word) && !takesRemote(words[at - 1]!));
  return next < 0 ? until : Math.min(until, next + 1);
}

const takesRemote = (word: string) => word === "-r" || word === "--remote";

/** Whether the next word would be the value of `-r`. */
export const awaitsRemote = (words: readonly string[]): boolean =>
  takesRemote(words.at(-1) ?? "") && ownCount(words) === words.length;

/** The place of the command among the words; -1: there is none. */
function commandAt(words: readonly string[]): number {
  const end = words.indexOf("--");
  return words.findIndex((word, at) => !isOption(word) && !takesRemote(words[at - 1] ?? "") && (end < 0 || at < end));
}

/** The command that was typed, or undefined. */
export const commandIn = (words: readonly string[]): string | undefined => words[commandAt(words)];

/** Whether one of dp's own words is that option. */
export const hasOption = (words: readonly string[], ...options: string[]): boolean =>
  words.slice(0, ownCount(words)).some((word) => options.includes(word));

/** Takes `-r NAME`, `-rNAME`, `--remote NAME` and `--remote=NAME` out. Throws DpError "usage" without a name. */
export function withoutRemote(typed: readonly string[]): Typed {
  const own = ownCount(typed);
  const words: string[] = [];
  let remote: string | undefined;
  for (let at = 0; at < typed.length; at++) {
    const word = typed[at]!;
    const [, joined] = at < own ? (/^(?:-r|--remote=)(.+)$/s.exec(word) ?? []) : [];
    if (joined !== undefined) remote = joined;
    else if (at < own && (takesRemote(word) || word === "--remote=")) {
      const name = typed[++at];
      if (name === undefined || name === "" || name.startsWith("-") || word.endsWith("="))
        throw new DpError("usage", `${word.replace("=", "")} needs the name of a git remote`, {
          hint: "git remote -v",
        });
      remote = name;
    } else words.push(word);
  }
  return { words, remote };
}

/** What this dp knows of the commands; a newer server may have others. */
export interface Known {
  /** Whether a command is about an app. */
  takesApp(command: string): boolean;
  /** Whether an option of a command, `-n`, takes the next word as its value. */
  takesValue(command: string, option: string): boolean;
}

/** Whether it is `dp fleet sync`: of what `dp fleet` does, this alone is done on the server. */
export function isSync(words: readonly string[]): boolean {
  const at = commandAt(words);
  return words[at] === "fleet" && words[at + 1] === BEFORE_APP["fleet"];
}

/** A command that is about an app, and its own words as far as they may name one; null: another command. */
function readApp(words: readonly string[], known: Known) {
  const at = commandAt(words);
  const command = words[at];
  if (command === undefined || !(known.takesApp(command) || isSync(words))) return null;
  const own = words.slice(at + 1, ownCount(words));
  const isValue = (before: string | undefined) => before !== undefined && known.takesValue(command, before);
  const [first = "", second] = own.filter((word, place) => !isOption(word) && !isValue(own[place - 1]));
  const isBefore = BEFORE_APP[command] === first && own[0] === first;
  const isAction = isBefore || (command === "env" && ENV_ACTIONS.includes(first));
  const names = [first, ...(isAction && second !== undefined ? [second] : [])];
  const isWhole = WHOLE.includes(command) && own.includes("--all");
  return { at, command, own, first, second, names, isBefore, isWhole };
}

/**
 * The words with the app behind the command, unless it is there already. `--all`, or no app (null), is about the whole
 * server.
 */
export function addressed(words: readonly string[], app: string | null, known: Known): string[] {
  const read = readApp(words, known);
  if (read === null) return [...words];
  const { at, command, first, names, isBefore, isWhole } = read;
  if (isWhole) return words.filter((word) => word !== "--all");
  if (app === null || names.includes(app) || (command === "setup" && isAppName(first))) return [...words];
  const place = at + (isBefore ? 2 : 1);
  return [...words.slice(0, place), app, ...words.slice(place)];
}

/** What a command line says of the remote that is meant. */
export interface Meant {
  /** The command, for hints. */
  command: string;
  /** The words that may be the name of an app. */
  names: readonly string[];
  /** Whether it may be about a whole server, and names no app. */
  isOfServer: boolean;
}

/** What the words, without `-r`, say of the remote that is meant. */
export function meantBy(words: readonly string[], known: Known): Meant {
  const command = commandIn(words) ?? "";
  const read = readApp(words, known);
  if (read === null) return { command, names: [], isOfServer: true };
  if (isSync(words)) return { command: "fleet sync", names: read.names.filter(isAppName), isOfServer: false };
  const { own, first, names, isWhole } = read;
  const isHarmless = WHOLE.includes(command) && ![command, ...own].some((word) => CHANGES.includes(word));
  return { command, names: names.filter(isAppName), isOfServer: isWhole || (isHarmless && first === "") };
}

/** Commands that start a run. With a second word `restart` is about one process, and is none. */
const RUNS = ["deploy", "rollback", "restart", "resume"];

/** The app of a run that a command, in dp's words and with its app, starts; null: it starts none. */
export function appOfRun(words: readonly string[], known: Known): string | null {
  const read = readApp(words, known);
  if (read === null || !RUNS.includes(read.command) || !isAppName(read.first)) return null;
  return read.command === "restart" && read.second !== undefined ? null : read.first;
}

/** Whether a command, in dp's words and with its app, talks to the user at a terminal: with `-t`. */
export function isInteractive(words: readonly string[]): boolean {
  const command = commandIn(words);
  if (command === "run") return !optionsOfRun(words).includes("--no-tty");
  return command === "destroy" || (command === "auth" && words[2] === "add") || asksForValue(words);
}

/** The options before the program of `run APP`. */
function optionsOfRun(words: readonly string[]): readonly string[] {
  const first = words.findIndex(
    (word, at) => word === "--" || (at > 1 && !isOption(word) && !isOption(words[at - 1]!)),
  );
  return words.slice(0, first < 0 ? words.length : first);
}

/** Whether a command asks for the value of a setting: `env APP set NAME`, or `env set APP NAME`. */
export function asksForValue(words: readonly string[]): boolean {
  const [command, first, second, ...rest] = words;
  if (command !== "env" || (first !== "set" && second !== "set")) return false;
  return rest.some((word) => !isOption(word) && !word.includes("="));
}

/** Commands that never read stdin: ssh would take away what a loop around dp still has to read. */
const SILENT = [
  ...[
    "apps",
    "audit",
    "cancel",
    "cron",
    "deploy",
    "doctor",
    "fleet",
    "lock",
    "logs",
    "maintenance",
    "metrics",
    "plan",
    "ps",
    "reconcile",
  ],
  ...["releases", "report", "restart", "resume", "rollback", "runtimes", "scale", "setup", "start", "status", "stop"],
  ...["unlock", "watch"],
];

/** Whether a command may read stdin; one that this dp does not know may. */
export const readsStdin = (words: readonly string[]): boolean => !SILENT.includes(commandIn(words) ?? "");

/**
 * The place of the file that a command reads, `env APP import FILE` or `keys add NAME FILE`: it is one of this machine.
 * -1: it reads none.
 */
export function fileAt(words: readonly string[], known: Known): number {
  const isValue = (at: number) => known.takesValue(words[0]!, words[at - 1] ?? "");
  const places = words.flatMap((word, at) => (isOption(word) || isValue(at) ? [] : [at]));
  const [command, first, second] = places.map((at) => words[at]);
  const isRead = command === "env" ? second === "import" : command === "keys" && first === "add";
  const at = isRead ? (places[3] ?? -1) : -1;
  return words[at] === "-" ? -1 : at;
}
