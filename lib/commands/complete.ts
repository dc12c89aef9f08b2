// `dp complete`: what a word of a command line may be, for the completion of shells. It asks nobody, and is quick.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { settingsIn, sourceOf } from "../config/env.ts";
import { envText } from "../config/env-file.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { namedApp, openApp } from "../release/app.ts";
import { runFile, runIds } from "../release/history.ts";
import { processNames } from "../release/processes.ts";
import { run } from "../host/run.ts";
import { pages } from "./help.ts";
import { appNames } from "../config/server.ts";
import type { DeployConfig } from "../config/types.ts";
import { treeOf } from "../host/release-folder.ts";

/** A command as the shell needs to know it. */
export interface Described {
  name: string;
  description: string;
  /** The names of its words in order, `app`; the last one again and again when `isVariadic`. */
  words: readonly { name: string; isVariadic: boolean }[];
  /** As declared: `-n, --lines <count>`. */
  options: readonly { declared: string; description: string }[];
}

/** A word, and what it means when that helps. */
export type Candidate = readonly [word: string, meaning?: string];

// Shells put a word into the operator's line as it is, and a branch may be named by whoever pushes. None is an option.
const PLAIN = /^(?:--)?[\w./@+][\w./@+:=-]*$/;

/** What the last of the words, which may be half typed, can be. A word that a shell would not take as it is, is left out. */
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
  // The words of other tools: for whoever is typing one.
  return typed.length > 1 || typed.includes(":") ? [...own, ...aliases.map((word): Candidate => [word])] : own;
}

async function wordsOf(words: readonly string[], commands: readonly Described[]): Promise<Candidate[]> {
  const command = commands.find(({ name }) => name === words[0]);
  if (!command) return [];
  const typed = words.at(-1)!;
  const before = words.slice(1, -1);
  const option = valueOption(command, before.at(-1) ?? "");
  const positional = before.filter((word, at) => !word.startsWith("-") && !isTaken(command, before, at));
  // Whatever belongs to the command of `dp run` is none of dp's.
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

/** The pages of `dp help` that no command is called like. */
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

/** What may stand before the app's name: `dp lock status APP`. */
const BEFORE_APP: Readonly<Record<string, string>> = { lock: "status", cron: "run" };

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
      return plain(["list", "get", "set", "unset", "import"]);
    case "words":
      return app && (action === "get" || action === "unset" || action === "set") ? settingWords(app, action) : [];
    case "process":
    case "processes":
      return app ? processWords(app, command) : [];
    case "entry":
      return action ? cronWords(action) : [];
    case "shell":
      return plain(["bash", "zsh", "fish"]);
    case "type":
      return plain((await import("../config/kinds.ts")).appTypeNames());
    case "manager":
    case "front":
      return plain((await import("../config/kinds.ts"))[`${name}Names`]());
    default:
      return [];
  }
}

async function steps(): Promise<Candidate[]> {
  return (await import("../pipeline/step-files.ts")).stepFiles().map(({ name }): Candidate => [name]);
}

/** Releases whose files are there, for `rollback`; elsewhere every run. Newest first. */
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
  return (await run(["git", "--git-dir", repo, ...refs], { check: false })).text
    .split("\n")
    .filter((name) => /^[^-]/.test(name));
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

/** `worker`, and for `dp scale` `worker=`; of `dp logs` jobs, too. */
async function processWords(app: string, command: string): Promise<Candidate[]> {
  const config = await liveConfig(app);
  const names = config === null ? [] : processNames(config);
  const jobs = command === "logs" ? (config?.cron ?? []).map(({ name }) => `cron.${name}`) : [];
  return [...names, ...jobs].map((name): Candidate => [command === "scale" ? `${name}=` : name]);
}

const cronWords = async (app: string): Promise<Candidate[]> =>
  ((await liveConfig(app))?.cron ?? []).map(({ name, schedule }): Candidate => [name, schedule]);
