// Whether a command is for this machine, or for the server of the folder's git remote.
import type { CAC } from "cac";
import { existsSync } from "node:fs";
import { HIDDEN } from "./arguments.ts";
import { inDpsWords } from "./alias.ts";
import { takesValue, type Line } from "./argv.ts";
import { DpError } from "../errors.ts";
import { deployments } from "../paths.ts";
import { commandIn, hasOption, isSync, withoutRemote, type Known } from "../remote/words.ts";

/** Commands about this machine, wherever they are typed; but for `dp fleet sync`. */
const HERE = ["completion", "demo", "execute", "fact", "fleet", "help", "init", "launch", "promote", "step", "upgrade"];
/** Commands that a machine without any app has a use for: they are for it when no remote leads elsewhere. */
const FIRST = ["balancer", "doctor", "keys", "runtimes", "selftest", "setup"];

/** With one of these dp answers itself: with the help, or with where `-s` belongs. */
const LOCAL = ["--help", "-h", "-s", "--server"];

/** The option, as the help shows it. */
export const REMOTE = [
  "-r, --remote <name>",
  "The git remote whose server is meant; default: this folder's only one, or that of APP",
] as const;

/** Whether a command is for this machine wherever it is typed. */
export const isHere = (cli: CAC, command: string): boolean =>
  HERE.includes(command) || cli.commands.find(({ name }) => name === command)?.description === HIDDEN;

/**
 * Runs a command on the server that it is for, and answers its exit code; null: it is for this machine. `-r` leads
 * elsewhere from every machine; without it a machine that has apps is meant itself.
 */
export async function sentElsewhere(cli: CAC, typed: readonly string[]): Promise<number | null> {
  const name = commandIn(typed);
  const command = inDpsWords([name ?? ""])[0] ?? "";
  const declared = cli.commands.find((candidate) => candidate.name === command);
  // `dp help` alone is `dp --help`, which is no command.
  if (name === undefined) return null;
  if ((isHere(cli, name) || isHere(cli, command)) && !(name === "fleet" && isSync(withoutRemote(typed).words))) {
    const { remote } = withoutRemote(typed.slice(0, typed.indexOf(name)));
    requireNoRemote({ command: declared, options: remote === undefined ? {} : { remote } });
    return null;
  }
  const { words, remote } = withoutRemote(typed);
  if ((remote === undefined && isServer()) || hasOption(words, ...LOCAL)) return null;
  const { runThere } = await import("../remote/client.ts");
  try {
    return await runThere({ words, remote, known: knownTo(cli), inDpsWords });
  } catch (error) {
    const isNowhere = error instanceof DpError && error.reason === "no remote";
    if (isNowhere && (declared === undefined || FIRST.includes(command))) return null;
    throw error;
  }
}

/** Throws DpError "usage" for `-r` with a command that is for this machine wherever it is typed. */
export function requireNoRemote({ command, options }: Pick<Line, "command" | "options">): void {
  if (options["remote"] === undefined || command?.options.some(({ name }) => name === "remote")) return;
  throw new DpError("usage", `dp ${command?.name ?? ""} is about this machine, and takes no -r`.replace("  ", " "));
}

/** Whether this machine has, or had, apps of its own. */
const isServer = () => Boolean(process.env["DP_ROOT"]) || existsSync(deployments());

/** What this dp knows of the commands. */
export function knownTo(cli: CAC): Known {
  const of = (word: string) => cli.commands.find(({ name }) => name === inDpsWords([word])[0]);
  return {
    takesApp(word) {
      const found = of(word);
      return found === undefined || found.args[0]?.value === "app";
    },
    takesValue(word, option) {
      const found = of(word);
      return found !== undefined && takesValue(found, option);
    },
  };
}
