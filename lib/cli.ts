// The command line: finds the command that cli/ declares, and runs it.
import cac, { type CAC } from "cac";
import { byKey, print, HIDDEN } from "./cli/arguments.ts";
import { ALIASES, inDpsWords, insteadOf } from "./cli/alias.ts";
import { declareAppCommands } from "./cli/apps.ts";
import { readLine, runLine } from "./cli/argv.ts";
import { audited, declareAuditCommand } from "./cli/audit.ts";
import { declareCompletionCommands } from "./cli/completion.ts";
import { declareDeployCommands } from "./cli/deploy.ts";
import { declareDomainsCommand } from "./cli/domains.ts";
import { knownTo, REMOTE, requireNoRemote, sentElsewhere } from "./cli/elsewhere.ts";
import { declareEnvCommand, withAppFirst } from "./cli/env.ts";
import { declareFleetCommands } from "./cli/fleet.ts";
import { declareGuardCommands } from "./cli/guard.ts";
import { commandNames, commandSections, help, topicOf, usage } from "./cli/help.ts";
import { declareKeysCommands } from "./cli/keys.ts";
import { declareLaunchCommand } from "./cli/launch.ts";
import { declareLockCommands } from "./cli/lock.ts";
import { declareLogsCommand } from "./cli/logs.ts";
import { declareNotifyCommand } from "./cli/notify.ts";
import { declarePeerCommand } from "./cli/peer.ts";
import { declareProcessCommands } from "./cli/process.ts";
import { declareRuntimesCommand } from "./cli/runtimes.ts";
import { isSpread, runSpread } from "./cli/spread.ts";
import { declareServerCommands } from "./cli/server.ts";
import { declareStepCommands } from "./cli/step.ts";
import { declareUpgradeCommand } from "./cli/upgrade.ts";
import { declareWatchCommand } from "./cli/watch.ts";
import { DpError } from "./errors.ts";
import { takeCompilers } from "./host/compilers.ts";
import { guarded } from "./main.ts";
import { didYouMean } from "./text/suggestion.ts";

/** What declares the commands, a group each, in the order of the help. */
const GROUPS: readonly ((cli: CAC) => void)[] = [
  declareServerCommands,
  declareLaunchCommand,
  declareUpgradeCommand,
  declareRuntimesCommand,
  declareDeployCommands,
  declareKeysCommands,
  declareLockCommands,
  declareLogsCommand,
  declareEnvCommand,
  declareDomainsCommand,
  declareGuardCommands,
  declareAppCommands,
  declareProcessCommands,
  declareAuditCommand,
  declareFleetCommands,
  declarePeerCommand,
  declareNotifyCommand,
  declareWatchCommand,
  declareStepCommands,
  declareCompletionCommands,
];

/** The commands of a push and of an outage. They are among those about deploys: to declare all takes longer than they wait for. */
const QUICK = ["execute", "hook", "rollback", "serve-git", "work"];

/** All commands, with the layout of their help; `first`: the first word, which may need one group only. */
export function declared(first?: string): CAC {
  const cli = cac("dp");
  const isQuick = first !== undefined && QUICK.includes(first);
  for (const declare of isQuick ? [declareDeployCommands] : GROUPS) declare(cli);
  cli
    .command("help [topic]", "Show how a command is used, and its page; dp help topics lists the pages", byKey(null))
    .action(() => cli.outputHelp());
  cli.option("-s, --server <name>", "Before the command: run it on that server of dp fleet");
  cli.option(...REMOTE);
  cli.option("-v, --version", "Print the version and the commit it was built from");
  const hidden = new RegExp(`^.*${RegExp.escape(HIDDEN)}\\s*$\\n?`, "gm");
  cli.help(([, ...sections]) => [
    { body: headOf(cli, sections[0]!.body) },
    ...sections
      .filter((section) => !section.title?.startsWith("For more info"))
      .map((section) => ({
        ...section,
        // cac shows "(default: true)" for every --no option, and ends lines with a blank.
        body: section.body.replaceAll(hidden, "").replaceAll(/(?: \(default: true\))? *$/gm, ""),
      }))
      .flatMap((section) => (section.title === "Commands" ? commandSections(section.body) : section)),
  ]);
  return cli;
}

/** The first line of a help: what the command does whose usage follows, which cac shows in the list alone. */
function headOf(cli: CAC, usage: string): string {
  const name = /^ *\$ dp (\S+)/.exec(usage)?.[1];
  const command = cli.commands.find((each) => each.name === name && each.description !== HIDDEN);
  return command ? `dp ${command.name}: ${command.description}` : "dp";
}

/** Runs dp with the given words, and sets the exit code. */
export function main(words: readonly string[]): Promise<void> {
  takeCompilers();
  return guarded(async () => {
    if (words[0] === "-s" || words[0] === "--server") return onServer(words[1], words.slice(2));
    const cli = declared(words[0]);
    const topic = topicOf(words);
    if (topic !== undefined) return help(cli, topic);
    const sent = await sentElsewhere(cli, words);
    if (sent !== null) return sent;
    const line = readLine(cli, words);
    const { command, options } = line;
    if (command === undefined && line.words[0] !== undefined) throw unknownCommand(cli, line.words[0], line.words[1]);
    if (options["server"] !== undefined) throw misplacedServer(options["server"]);
    if (options["help"] === true) return command ? usage(command) : cli.outputHelp();
    requireNoRemote(line);
    if (options["version"] === true) return printVersion();
    if (command === undefined) return cli.outputHelp();
    // Before the audit log gets anything about it.
    if (command.name === "env") line.words = await withAppFirst(line.words);
    if (isSpread(line)) return runSpread(line);
    return audited(line, () => runLine(line));
  });
}

/** `dp -s NAME ...`: the server parses the rest, as it may know other commands than this dp. */
async function onServer(name: string | undefined, words: readonly string[]): Promise<number> {
  if (name === undefined) throw new DpError("usage", "-s needs the name of a server", { hint: "dp fleet" });
  const { runThere } = await import("./commands/there.ts");
  return runThere(name, { words, known: knownTo(declared()), inDpsWords });
}

// Elsewhere it may be a word for another program, and a command that runs here in place of there may do harm.
const misplacedServer = (name: string | boolean) =>
  new DpError("usage", "-s comes before the command", { hint: `dp -s ${String(name)} COMMAND` });

async function printVersion(): Promise<void> {
  const { versionText } = await import("./host/version.ts");
  print(`dp ${await versionText()}`);
}

function unknownCommand(cli: CAC, word: string, next: string | undefined): DpError {
  const instead = insteadOf(word, next);
  const near = didYouMean(word, word.includes(":") ? Object.keys(ALIASES) : commandNames(cli));
  return new DpError("usage", `unknown command ${JSON.stringify(word)}`, {
    hint: instead ?? near.hint ?? "dp --help lists them",
  });
}
