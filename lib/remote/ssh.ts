// ssh as git would start it, to one server: the program, the line that the server's shell gets, and its answer.
//
//   const ssh = await sshTo({ user: "root", host: "203.0.113.5" });
//   const { code, stdout } = await ssh.ask("sh", { stdin: script });      // its answer is read
//   const code = await ssh.attach(lineOf(["dp", "status"]));              // it has dp's own stdin, stdout and stderr
//
// Commands of one `Ssh`, and those of other dp commands within a minute by the same key, share a connection where that is
// possible; it outlives this process. No option about host keys is ever added, and no word of a line meets a local shell.
import { codeOf, DpError, EXIT } from "../errors.ts";
import { onReaderGone } from "../host/process/reader.ts";
import { quoted } from "../text/text.ts";
import { gitSettings, type GitSettings } from "./git.ts";
import { sharing } from "./shared-connection.ts";

/** A server as ssh finds it. `host` may be an alias of the user's ssh config, or an IPv6 address without brackets. */
export interface Server {
  host: string;
  user?: string | undefined;
  port?: number | undefined;
}

/** The answer of a command: its exit code (255 is ssh's own, see `isCut`), and all that it printed. */
export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

/** How a command is attached. */
export interface AttachOptions {
  /** The command gets a terminal of its own, `-t`. Only where stdin, stdout and stderr are terminals. */
  isTerminal?: boolean;
  /** What the command reads instead of dp's own stdin: data, or nothing at all. */
  stdin?: Blob | "none";
}

/** How a command is asked. */
export interface AskOptions {
  /** What the command reads; default nothing. */
  stdin?: string | Blob | ReadableStream;
  /** Milliseconds until ssh is ended, which gives code 255. Default: no limit. */
  timeout?: number;
  /** True: ssh asks no question, for a command that nobody typed. */
  isSilent?: boolean;
}

/** ssh to one server. */
export interface Ssh {
  server: Server;
  /** `root@203.0.113.5`, as ssh gets it and people read it. */
  name: string;
  /** The argv of a line, for those who start it themselves; `options` come first. */
  argv(line: string, ...options: string[]): string[];
  /** Runs a line with dp's own stdin, stdout and stderr; answers its exit code, or 130 after Ctrl-C, 143 after SIGTERM. */
  attach(line: string, options?: AttachOptions): Promise<number>;
  /** Runs a line and answers what it printed. A failure is an answer. */
  ask(line: string, options?: AskOptions): Promise<Answer>;
}

/** ssh's own exit code: the server was not reached, the connection was cut, or a signal ended the command. */
export const isCut = (code: number): boolean => code === 255;

/** The words of a command as a line for the server's shell, which gives the same words again. */
export const lineOf = (words: readonly string[]): string => words.map(quotedWord).join(" ");

// A first word in quotes could not be an alias or a keyword, which nobody wants; but `dp` is easier to read without.
const quotedWord = (word: string, at: number): string =>
  at === 0 && /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** `[USER@]HOST`. Throws DpError "usage" for what ssh would take for an option, or for two words. */
export function destinationOf({ user, host }: Server): string {
  const name = user === undefined ? host : `${user}@${host}`;
  if (!/^[^-\s\p{Cc}][^\s\p{Cc}]*$/u.test(name) || host.startsWith("-") || host === "")
    throw new DpError("usage", `${quoted(name)} is not the name of a server`);
  return name;
}

/** ssh to a server, with the user's own settings. Throws DpError "usage" for a host that begins with "-". */
export async function sshTo(server: Server, settings?: GitSettings): Promise<Ssh> {
  const name = destinationOf(server);
  const git = settings ?? (await gitSettings());
  const program = programOf(git.sshCommand);
  const place = [...(server.port === undefined ? [] : ["-p", String(server.port)]), name];
  const isShared = git.isShared && process.env["DP_MUX"] !== "0";
  const asked = [...program, "-G", ...place];
  const options = isShared ? sharing((await ask(asked, {})).stdout, asked) : [];
  const argv: Ssh["argv"] = (line, ...more) => [...program, ...more, ...options, ...place, line];
  return {
    server,
    name,
    argv,
    attach: (line, { isTerminal = false, stdin } = {}) => attach(argv(line, isTerminal ? "-t" : "-T"), stdin),
    ask: (line, how = {}) => ask(argv(line, "-T", ...(how.isSilent ? ["-o", "BatchMode=yes"] : [])), how),
  };
}

// A line that is one command: the shell can become it, and signals reach ssh.
const ONE_COMMAND = /^[\w./@+-]+(?:[ \t][^\n;&|()<>`#]*)?$/;

/** What git would start: a line of the user's for the shell, which gets the arguments as they are, or a program. */
function programOf(sshCommand: string | undefined): string[] {
  const line = process.env["GIT_SSH_COMMAND"] || sshCommand;
  if (line) return ["/bin/sh", "-c", `${ONE_COMMAND.test(line) ? "exec " : ""}${line} "$@"`, line];
  return [process.env["GIT_SSH"] || "ssh"];
}

/** ssh needs all of the user's environment: the agent, the locale, what a ProxyCommand reads. */
function spawn<const I extends "inherit" | "ignore" | Blob | ReadableStream, const O extends "inherit" | "pipe">(
  argv: string[],
  stdin: I,
  output: O,
) {
  try {
    return Bun.spawn(argv, { env: { ...process.env }, stdin, stdout: output, stderr: output });
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" && codeOf(cause) !== "EACCES") throw cause;
    throw new DpError("host", `${argv[0]} is not installed here, and dp reaches the server with it`, { cause });
  }
}

const SIGNALS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated, SIGHUP: EXIT.hungUp } as const;

async function attach(argv: string[], stdin: Blob | "none" | undefined): Promise<number> {
  // Before ssh starts: a Ctrl-C goes to both, and dp waits for what ssh makes of it.
  let ended: number | undefined;
  let child: { kill(signal: NodeJS.Signals): void } | undefined;
  const leave = (code: number, signal: NodeJS.Signals) => () => {
    ended = code;
    child?.kill(signal);
  };
  const handlers: (() => unknown)[] = (Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]).map((signal) => {
    const handler = leave(SIGNALS[signal], signal);
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  // ssh itself would notice only when there is something more to print.
  handlers.push(onReaderGone(leave(EXIT.hungUp, "SIGTERM")));
  try {
    const started = spawn(argv, stdin === "none" ? "ignore" : (stdin ?? "inherit"), "inherit");
    child = started;
    const code = await started.exited;
    // The Ctrl-C that ended ssh may reach dp a moment later.
    if (isCut(code) && ended === undefined) await Bun.sleep(50);
    return ended !== undefined && (isCut(code) || started.signalCode !== null) ? ended : code;
  } finally {
    for (const stop of handlers) stop();
  }
}

async function ask(argv: string[], { stdin, timeout }: AskOptions): Promise<Answer> {
  const child = spawn(argv, typeof stdin === "string" ? new Blob([stdin]) : (stdin ?? "ignore"), "pipe");
  const limit = timeout === undefined ? undefined : setTimeout(() => child.kill(), timeout);
  try {
    const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { code: child.signalCode === null ? code : 255, stdout, stderr };
  } finally {
    clearTimeout(limit);
  }
}
