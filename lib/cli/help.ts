// `dp help TOPIC`, and the line of `--help` about a command's page.
import type { CAC, Command } from "cac";
import { HIDDEN, print } from "./arguments.ts";
import { ALIASES, inDpsWords, insteadOf } from "./alias.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

/** The names of the commands that people type. */
export const commandNames = (cli: CAC): string[] =>
  cli.commands.filter(({ description }) => description !== HIDDEN).map(({ name }) => name);

/** The commands in `dp --help`, under these titles; one that is in none of them comes last. */
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  "Every day": [
    ...["status", "logs", "releases", "deploy", "rollback", "restart", "run", "env", "ps", "scale", "doctor"],
  ],
  Apps: [
    ...["init", "setup", "apps", "domains", "maintenance", "promote", "stop", "start", "cron", "cancel", "resume"],
    "destroy",
  ],
  Access: ["keys", "auth", "lock", "unlock", "audit"],
  Server: [
    ...["launch", "upgrade", "runtimes", "report", "notify", "watch", "metrics", "reconcile", "selftest", "demo"],
  ],
  "Several servers": ["fleet", "balancer", "swarm"],
  "Steps by hand": ["plan", "step", "begin", "execute", "fact"],
  "This program": ["help", "completion"],
};

/** The lines of cac's list of commands, `  status [app]   Show ...`, by these titles. */
export function commandSections(list: string): { title: string; body: string }[] {
  const nameOf = (line: string) => /^ *(\S+)/.exec(line)?.[1] ?? "";
  const lines = list.split("\n").filter((line) => line.trim() !== "");
  const grouped = Object.values(SECTIONS).flat();
  const rest = lines.map(nameOf).filter((name) => !grouped.includes(name));
  return Object.entries({ ...SECTIONS, ...(rest.length > 0 ? { More: rest } : {}) }).map(([title, names]) => ({
    title,
    body: names.flatMap((name) => lines.filter((line) => nameOf(line) === name)).join("\n"),
  }));
}

/** The topic in the words after `dp help`; undefined: they are parsed as usual. */
export const topicOf = ([first, topic]: readonly string[]): string | undefined =>
  first === "help" && topic !== undefined && !topic.startsWith("-") ? topic : undefined;

/** Prints a command's usage and then its page, or the one that exists. Throws DpError "usage" when there is neither. */
export async function help(cli: CAC, topic: string): Promise<void> {
  const { linesOf, pageOf, pages, topicLines } = await import("../commands/help.ts");
  if (topic === "topics") return topicLines().forEach(print);
  const [name] = inDpsWords(["help", topic]);
  const command = cli.commands.find((candidate) => candidate.name === name);
  const page = pageOf(topic) ?? pageOf(name!);
  if (!command && !page) throw unknownTopic(topic, [...commandNames(cli), ...pages().flatMap(({ words }) => words)]);
  command?.outputHelp();
  if (!page) return;
  if (command) print("");
  // A blank line at the end would push the answer up.
  for (const line of linesOf(page, process.stdout.columns || 100).slice(0, -1)) print(line);
}

/** Prints a command's usage, and where to read more. */
export async function usage(command: Command): Promise<void> {
  command.outputHelp();
  const { pageOf } = await import("../commands/help.ts");
  if (pageOf(command.name)) ["", `More: dp help ${command.name}`].forEach(print);
}

function unknownTopic(topic: string, known: readonly string[]): DpError {
  const near = didYouMean(topic, topic.includes(":") ? Object.keys(ALIASES) : known);
  return new DpError("usage", `no command and no page is called ${JSON.stringify(topic)}`, {
    hint: insteadOf(topic, undefined) ?? near.hint ?? "dp help topics lists the pages, dp --help the commands",
  });
}
