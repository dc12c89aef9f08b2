// `dp complete`: the possible words at a place of a command line, for shell completion. It asks nothing, and is quick.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROLES } from "../access/role.ts";
import { EVENTS } from "../contracts/notifier.ts";
import { settingsIn, sourceOf } from "../config/env.ts";
import { envText } from "../config/env-file.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { runFile, runIds } from "../release/history.ts";
import { processNames } from "../release/processes.ts";
import { git } from "../git/git.ts";
import { BEFORE_APP } from "../remote/words.ts";
import { pages } from "./help.ts";
import { appNames } from "../config/server.ts";
import type { DeployConfig } from "../config/types.ts";
import { treeOf } from "../host/release-folder.ts";

/** A command in the form that completion needs. */
export interface Described {
  name: string;
  description: string;
  /** The names of its words in order, `app`; with `isVariadic` the last one repeats. */
  words: readonly { name: string; isVariadic: boolean }[];
  /** The declared form: `-n, --lines <count>`. */
  options: readonly { declared: string; description: string }[];
}

/** A word, and its meaning where that helps. */
export type Candidate = readonly [word: string, meaning?: string];

// Shells insert a candidate unquoted, and anyone who pushes may name a branch. No candidate is taken for an option.
const PLAIN = /^(?:--)?[\w./@+][\w./@+:=-]*$/;

/** The candidates for the last word, which may be half typed. A word that a shell would have to quote is left out. */
export async function candidates(
  words: readonly string[],
  commands: readonly Described[],
  aliases: readonly string[],
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? "";
  const all = words.length <= 1 ? commandWords(typed, commands, aliases) : await wordsOf(words, commands);
  return all.filter(([word]) => PLAIN.test(word) && word.startsWith(typed));
}

function commandWords(typed: string, commands: readonly Described[], aliases: readonly string[]): Candidate[] {
  const own = commands.map(({ name, description }): Candidate => [name, description]);
  // The words of other tools are offered only to those who are typing one.
  return typed.length > 1 || typed.includes(":") ? [...own, ...aliases.map((word): Candidate => [word])] : own;
}

async function wordsOf(words: readonly string[], commands: readonly Described[]): Promise<Candidate[]> {
  const command = commands.find(({ name }) => name === words[0]);
  if (!command) return [];
  const typed = words.at(-1)!;
  const before = words.slice(1, -1);
  const option = valueOption(command, before.at(-1) ?? "");
  const positional = before.filter((word, at) => !word.startsWith("-") && !isTaken(command, before, at));
  // The words behind `dp run APP` belong to another program.
  if (command.name === "run" && positional.length > 0) return [];
  if (command.name === "help" && !typed.startsWith("-"))
    return positional.length === 0 ? [...commandWords(typed, commands, []), ...topics(commands)] : [];
  if (option?.isRequired) return valuesOf(option.value, command.name, positional[0]);
  if (typed.startsWith("-")) return optionWords(command);
  const place =
    command.words[positional.length] ?? (command.words.at(-1)?.isVariadic ? command.words.at(-1) : undefined);
  const found = place ? await valuesOf(place.name, command.name, positional[0], positional[1]) : [];
  return option ? [...(await valuesOf(option.value, command.name, positional[0])), ...found] : found;
}

/** The pages of `dp help` that are not named like a command. */
function topics(commands: readonly Described[]): Candidate[] {
  const own = new Set(commands.map(({ name }) => name));
  const found = pages().filter(({ name }) => !own.has(name));
  return [...found.map(({ name, title }): Candidate => [name, title]), ["topics", "All pages"]];
}

const DECLARED = /^(?:(-\w), )?(--[\w-]+)(?: ([<[])([\w-]+)[>\]])?$/;

function optionWords({ options }: Described): Candidate[] {
  return [
    ...options.map(({ declared, description }): Candidate => [DECLARED.exec(declared)?.[2] ?? "", description]),
    ["--help", "Show how it is used"],
  ];
}

function valueOption({ options }: Described, word: string) {
  for (const { declared } of options) {
    const [, short, long, bracket, value] = DECLARED.exec(declared) ?? [];
    if (bracket && value && (word === short || word === long)) {
      return { value: value === "name" ? long!.slice(2) : value, isRequired: bracket === "<" };
    }
  }
  return undefined;
}

/** Whether a word is the value of the option before it. */
const isTaken = (command: Described, words: readonly string[], at: number) =>
  valueOption(command, words[at - 1] ?? "")?.isRequired === true;

/** What the first word of other commands may be. */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  auth: ["list", "add", "remove", "clear"],
  domains: ["list", "add", "remove", "clear", "renew", "cert"],
  keys: ["list", "add", "new", "allow", "deny", "remove"],
  runtimes: ["list", "install"],
  swarm: ["status", "init", "invite", "join", "drain", "ready", "remove", "leave"],
  notify: ["add", "test", "remove", "set", "mute", "unmute", "log"],
};

/** The words of which some places take one. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  role: ROLES,
  shell: ["bash", "zsh", "fish"],
  state: ["on", "off"],
};

async function valuesOf(name: string, command: string, app?: string, action?: string): Promise<Candidate[]> {
  const plain = (words: readonly string[]) => words.map((word): Candidate => [word]);
  switch (name) {
    case "app":
      return plain([...(await appNames()), ...(Object.hasOwn(BEFORE_APP, command) ? [BEFORE_APP[command]!] : [])]);
    case "id":
      return app ? releaseWords(app, command) : [];
    case "ref":
      return app ? plain(await branches(app)) : [];
    case "step":
      return steps();
    case "name":
      if (Object.hasOwn(BEFORE_APP, command)) return app === BEFORE_APP[command] ? plain(await appNames()) : [];
      return command === "step" ? steps() : [];
    case "action":
      return plain(command === "env" ? ["list", "get", "set", "unset", "import"] : (ACTIONS[command] ?? []));
    case "words":
      // Its first word is what to do.
      if (command === "notify") return plain(await notifyWords(app ?? "", action));
      return app && (action === "get" || action === "unset" || action === "set") ? settingWords(app, action) : [];
    case "process":
    case "processes":
      return app ? processWords(app, command) : [];
    case "users":
      return app && action === "remove" ? plain(Object.keys((await openApp(app)).server.basicAuth ?? {})) : [];
    case "entry":
      return action ? cronWords(action) : [];
    case "apps":
      return plain(await appNames());
    case "type":
      return plain((await import("../config/kinds.ts")).appTypeNames());
    case "manager":
    case "front":
      return plain((await import("../config/kinds.ts"))[`${name}Names`]());
    default:
      return plain(FIXED[name] ?? []);
  }
}

/** What follows `dp notify VERB`; `name`: the word behind the verb, when there is one. */
async function notifyWords(verb: string, name: string | undefined): Promise<string[]> {
  if (verb === "add" && name !== undefined) return (await import("../config/kinds.ts")).notifierNames();
  if (name !== undefined) return [];
  if (verb === "mute" || verb === "unmute") return appNames();
  if (verb === "set") return Object.keys(EVENTS).map((event) => `${event}=`);
  if (verb !== "test" && verb !== "remove") return [];
  return Object.keys((await import("../notify/targets.ts")).readTargets()?.to ?? {});
}

async function steps(): Promise<Candidate[]> {
  return (await import("../pipeline/step-files.ts")).stepFiles().map(({ name }): Candidate => [name]);
}

/** Releases that are still on disk, for `rollback`; for other commands every run. Newest first. */
async function releaseWords(name: string, command: string): Promise<Candidate[]> {
  const app = namedApp(name);
  const { releases } = app.places;
  const ids = (await runIds(app)).toReversed();
  if (command !== "rollback") return ids.map((id): Candidate => [id]);
  const isThere = (id: string) => existsSync(join(releases, id));
  return ids.filter(isThere).map((id): Candidate => (treeOf(releases, id) === id ? [id] : [id, "a restart"]));
}

async function branches(app: string): Promise<string[]> {
  const { repo } = namedApp(app).places;
  const refs = ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"];
  return (await git(repo, refs, { check: false })).text.split("\n").filter((name) => /^[^-]/.test(name));
}

async function settingWords(app: string, action: string): Promise<Candidate[]> {
  const { places, server } = await openApp(app);
  const settings = settingsIn(sourceOf(await envText(places.base, server.env)), server.env);
  return settings.map(({ name }): Candidate => [action === "set" ? `${name}=` : name]);
}

async function liveConfig(name: string): Promise<DeployConfig | null> {
  const app = namedApp(name);
  const live = await app.live();
  return live === null ? null : factOf(await load(runFile(app, live)), "config", fact.config);
}

/** `worker`, and for `dp scale` `worker=`; for `dp logs` jobs as well. */
async function processWords(app: string, command: string): Promise<Candidate[]> {
  const config = await liveConfig(app);
  const names = config === null ? [] : processNames(config);
  const jobs = command === "logs" ? (config?.cron ?? []).map(({ name }) => `cron.${name}`) : [];
  return [...names, ...jobs].map((name): Candidate => [command === "scale" ? `${name}=` : name]);
}

const cronWords = async (app: string): Promise<Candidate[]> =>
  ((await liveConfig(app))?.cron ?? []).map(({ name, schedule }): Candidate => [name, schedule]);
