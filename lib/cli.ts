// The command line: every command is declared in cli/, found, and handed over to.
import cac from "cac";
import { version } from "../package.json";
import { HIDDEN, print } from "./cli/arguments.ts";
import { ALIASES, HELP, withoutAliases, withoutHelp } from "./cli/alias.ts";
import { declareAppCommands } from "./cli/apps.ts";
import { audited, declareAuditCommand, type Outcome } from "./cli/audit.ts";
import { declareCompletionCommands } from "./cli/completion.ts";
import { declareDeployCommands } from "./cli/deploy.ts";
import { declareEnvCommand } from "./cli/env.ts";
import { declareLockCommands } from "./cli/lock.ts";
import { declareLogsCommand } from "./cli/logs.ts";
import { declareProcessCommands } from "./cli/process.ts";
import { declareServerCommands } from "./cli/server.ts";
import { declareStepCommands } from "./cli/step.ts";
import { DpError } from "./errors.ts";
import { guarded } from "./main.ts";
import { didYouMean } from "./text/suggestion.ts";

const cli = cac("dp");
declareServerCommands(cli);
declareDeployCommands(cli);
declareLockCommands(cli);
declareLogsCommand(cli);
declareEnvCommand(cli);
declareAppCommands(cli);
declareProcessCommands(cli);
declareAuditCommand(cli);
declareStepCommands(cli);
declareCompletionCommands(cli);
cli.command("help [command]", "List all commands, or show how one is used").action(() => cli.outputHelp());
cli.option("-v, --version", "Print the version");
cli.help((sections) =>
  sections
    .filter((section) => !section.title?.startsWith("For more info"))
    .map((section) => ({
      ...section,
      body: section.body
        .replaceAll(new RegExp(`^.*${RegExp.escape(HIDDEN)}\\s*$\\n?`, "gm"), "")
        // The default of what is left out, as if it were on.
        .replaceAll(/^( *--no-.*?) \(default: true\)$/gm, "$1"),
    })),
);

async function run(): Promise<number | void> {
  try {
    process.argv = withoutAliases(withoutHelp(process.argv));
    const [first = "", second] = process.argv.slice(2);
    const command = HELP.includes(first) ? second : first;
    // cac would show the help of dp itself for any word.
    if (command && !command.startsWith("-") && !cli.commands.some(({ name }) => name === command))
      throw unknownCommand(command);
    cli.parse(process.argv, { run: false });
    if (cli.options["help"]) return;
    // cac puts what follows "--" aside, and a command but "run" would run without it.
    if (process.argv.includes("--") && cli.matchedCommandName !== "run" && cli.matchedCommandName !== "complete")
      throw new DpError("usage", 'dp takes no "--": write the words without it');
    if (cli.matchedCommand) return await audited(cli, async () => (await cli.runMatchedCommand()) as Outcome);
  } catch (error) {
    if (error instanceof Error && error.name === "CACError") throw usageError(error.message);
    throw error;
  }
  if (cli.options["version"]) return print(`dp ${version}`);
  const [word] = cli.args;
  if (word === undefined) return cli.outputHelp();
  throw unknownCommand(word);
}

function unknownCommand(word: string): DpError {
  const names = cli.commands.filter((command) => command.description !== HIDDEN).map((command) => command.name);
  return new DpError("usage", `unknown command ${JSON.stringify(word)}`, {
    hint: "dp --help lists them",
    ...didYouMean(word, word.includes(":") ? Object.keys(ALIASES) : names),
  });
}

function usageError(message: string): DpError {
  const { name = "", args = [] } = cli.matchedCommand ?? {};
  const missing = args.filter(({ required }) => required).slice(cli.args.length);
  if (missing.length > 0) {
    const words = missing.map(({ value }) => value.toUpperCase()).join(" ");
    return new DpError("usage", `dp ${name} needs ${words}`, { hint: `dp ${name} --help` });
  }
  const unknown = /Unknown option `-+([^`]*)`/.exec(message)?.[1];
  const dashed = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const names = (cli.matchedCommand?.options ?? []).map(({ name }) => dashed(name));
  const near = unknown === undefined ? {} : didYouMean(dashed(unknown), names);
  const words = message.replaceAll("`", '"').replace(/^./, (letter) => letter.toLowerCase());
  return new DpError("usage", words, { hint: `dp ${cli.matchedCommandName} --help`, ...near });
}

// Not awaited: bytecode knows no await outside of functions.
void guarded(run);
