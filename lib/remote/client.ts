// A command that was typed on the laptop: sent to the server of the folder's git remote, and its answer given as it is.
import { isatty } from "node:tty";
import { DpError, EXIT } from "../errors.ts";
import { version } from "../host/version.ts";
import { say } from "../text/say.ts";
import { quoted, shown } from "../text/text.ts";
import { gitRemotes, gitSettings, type GitSettings } from "./git.ts";
import { chosen } from "./remotes.ts";
import { isCut, lineOf, sshTo, type AttachOptions, type Server, type Ssh } from "./ssh.ts";
import {
  addressed,
  appOfRun,
  asksForValue,
  commandIn,
  fileAt,
  isInteractive,
  meantBy,
  readsStdin,
  type Known,
} from "./words.ts";

/** A shell's code for a program that it does not find. */
const NOT_FOUND = 127;
/** How long the server may take to tell its version, in ms. */
const PATIENCE = 10_000;

/** A command for the server. */
export interface Sent {
  /** As typed, without the option that names the remote. */
  words: readonly string[];
  /** The value of that option. */
  remote: string | undefined;
  known: Known;
  /** The words with other tools' words replaced by dp's. */
  inDpsWords(words: readonly string[]): string[];
}

/**
 * Runs a command on the server that is meant; answers its exit code. Throws DpError "usage" when it is not clear which
 * server that is.
 */
export async function runThere({ words, remote, known, inDpsWords }: Sent): Promise<number> {
  const [git, remotes] = await Promise.all([gitSettings(), gitRemotes()]);
  const { server, app } = chosen(remote, meantBy(words, known), git, remotes);
  const typed = remote === undefined ? "dp" : `dp -r ${remote}`;
  return send(server, { words: addressed(words, app, known), known, inDpsWords }, { typed, git });
}

/**
 * Runs a command, with all its words, on a server; answers its exit code. `typed`: how dp is typed here for that server,
 * `dp -r staging`.
 */
export async function send(
  server: Server,
  { words, known, inDpsWords }: Omit<Sent, "remote">,
  { typed, git }: { typed: string; git?: GitSettings },
): Promise<number> {
  const meant = inDpsWords(words);
  const { line, ...how } = await attachment([...words], meant, known);
  const ssh = await sshTo(server, git);
  const code = await ssh.attach(line, how);
  if (code === EXIT.interrupted) left(meant, known, typed);
  else await explain(ssh, code, commandIn(words) === "run");
  return code;
}

/** After Ctrl-C: a run is a process of the server, which ends with nobody here. */
function left(words: readonly string[], known: Known, typed: string): void {
  const app = appOfRun(words, known);
  if (app === null) return;
  say("dp: what has begun there goes on");
  say(`  → ${typed} logs ${app} --deploy -f shows it, ${typed} cancel ${app} ends it`);
}

/** The line for the server, and what the command there gets of this terminal. */
async function attachment(words: string[], meant: string[], known: Known): Promise<AttachOptions & { line: string }> {
  const at = fileAt(meant, known);
  if (at >= 0) return { line: lineOf(["dp", ...meant.with(at, "-")]), stdin: await localFile(meant[at]!) };
  const line = lineOf(["dp", ...words]);
  const isTerminal = isInteractive(meant) && [0, 1, 2].every((fd) => isatty(fd));
  if (asksForValue(meant) && isatty(0) && !isTerminal)
    throw new DpError("usage", "what you type here would be shown: stdout or stderr is not a terminal", {
      hint: `${commandIn(words)} without a redirection, or with the value from a file: < FILE`,
    });
  return readsStdin(meant) ? { line, isTerminal } : { line, isTerminal, stdin: "none" };
}

/** A file of this machine that the server reads as stdin. Throws DpError "usage" when it cannot be read. */
async function localFile(path: string): Promise<Blob> {
  try {
    return new Blob([await Bun.file(path).bytes()]);
  } catch (cause) {
    throw new DpError("usage", `${quoted(path)} cannot be read on this machine`, { cause });
  }
}

/** Adds what only this side can know about a failure. */
async function explain(ssh: Ssh, code: number, isRun: boolean): Promise<void> {
  if (isCut(code)) {
    const other = isRun ? ", or the command itself exited with code 255" : "";
    return say(`dp: ssh to ${ssh.name} failed or was cut${other}`);
  }
  if (code !== NOT_FOUND && code !== EXIT.usage) return;
  const there = await ssh.ask("dp --version", { isSilent: true, timeout: PATIENCE });
  const found = /^dp (\S+)/.exec(there.stdout)?.[1];
  if (there.code === NOT_FOUND) {
    say("dp: dp is not installed there");
    say(`  → dp launch ${ssh.name}`);
  } else if (code === EXIT.usage && found !== undefined && found !== version) {
    say(`dp: the server has dp ${shown(found)}, this is ${version}`);
  }
}
