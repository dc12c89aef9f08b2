// Runs one child process: in its own process group, on a real pipe, with a time limit that ends the whole group.
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { codeOf, DpError } from "../errors.ts";
import type { Confined, Confinement } from "./process/confine.ts";
import { groupOf } from "./process/group.ts";
import { pipe } from "./process/libc.ts";
import { readLines, tail } from "./process/output.ts";
import type { Account } from "./passwd.ts";
import { within } from "./within.ts";
import { foldTraces } from "../text/trace.ts";
import { commandOf, givePipe, isOther } from "./process/privilege.ts";

export interface RunOptions {
  /** The working folder, entered as the user that the program runs as. Default "/". */
  cwd?: string;
  /** The whole environment of the child. Default: PATH, HOME and the locale of dp itself. */
  env?: Record<string, string>;
  /** The user it runs as, when dp is root. Throws DpError "host" when dp is neither root nor that user. */
  user?: string | undefined;
  /**
   * The user it runs as from its first instruction, when dp is root: without a program in between, and only with an
   * environment that dp has made.
   */
  account?: Account | undefined;
  /** Milliseconds until the group gets SIGTERM; SIGKILL follows five seconds later. Default 60 s. */
  timeout?: number;
  signal?: AbortSignal;
  /** False: a failure is returned, not thrown. */
  check?: boolean;
  /** True: lines are not passed to the log. */
  quiet?: boolean;
  onLine?: (line: string) => void;
  /** An open file that becomes the child's stdin; default /dev/null. The caller closes it. */
  stdin?: number;
  /** An open file that takes stdout instead of the pipe (stderr stays on the pipe). The caller closes it. */
  stdout?: number;
  /** Open files that become the descriptors from 3 on. The caller closes them. */
  more?: readonly number[];
  /** For a build or hook: it runs with low priority and limits, and everything that it started ends with it. */
  confined?: Confined | undefined;
  /** Bytes of output kept in `text`; the end is kept. Default 1 MiB. */
  keep?: number;
}

export interface Result {
  /** The exit code, or 128 + signal number. */
  code: number;
  signal: string | null;
  timedOut: boolean;
  /** The last part of the output, stdout and stderr together, without a final newline. */
  text: string;
}

/** The code that a shell also reports when SIGKILL has ended one of its commands. */
const KILLED = 128 + 9;
// A daemon that the child left behind may hold the pipe forever: wait at most this long.
const DRAIN = 500;

/** dp's own environment, reduced to the variables that any program may see. */
export function plainEnv(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "LANG", "LC_ALL", "TZ"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/**
 * Runs a program until it exits. Throws DpError "command" with the last lines when it exits non-zero or runs out of time,
 * DpError "host" when the program does not exist, and the AbortSignal's reason when aborted.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const result = await finish(argv, options);
  if (options.signal?.aborted) throw options.signal.reason;
  if (options.check === false || (result.code === 0 && !result.timedOut)) return result;
  throw failure(argv, result, options);
}

function failure(argv: readonly string[], result: Result, { timeout, confined }: RunOptions): DpError {
  const how = result.timedOut
    ? `did not end within ${Math.round((timeout ?? 60_000) / 1000)} s and was stopped`
    : result.signal
      ? `was killed by ${result.signal}`
      : `exited with code ${result.code}`;
  const memory = result.code === KILLED && !result.timedOut ? confined?.build?.memory : undefined;
  const hint = memory === undefined ? lineEndHint(result.text) : `build in config.yml limits it to ${memory} of memory`;
  return new DpError("command", `${argv.join(" ")} ${how}`, {
    lines: lastLines(result.text),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The last lines that matter: a long stack trace must not push its own beginning away. */
const lastLines = (text: string) => foldTraces(tail(text, 200)).slice(-25);

/** The hint when a shell, or env, has failed on a carriage return. */
function lineEndHint(text: string): string | undefined {
  const found =
    /(\S+): \S*(?:\^M|\r): bad interpreter|(\S+): line \d+: \$'[^']*\\r': command|env: \S+\\r['’]: No such/.exec(text);
  return found ? `Windows line ends: sed -i 's/\\r$//' ${found[1] ?? found[2] ?? "SCRIPT"}, then commit` : undefined;
}

/** The final command, with its user. */
function made(argv: readonly string[], { user, cwd, env = plainEnv() }: RunOptions): Confinement {
  return { ...commandOf(argv, env, user, cwd), end: () => Promise.resolve() };
}

/** The same, confined. What does that is loaded here: only builds and hooks need it. */
async function madeConfined(argv: readonly string[], confined: Confined, options: RunOptions): Promise<Confinement> {
  const own = made(argv, options);
  const { confine } = await import("./process/confine.ts");
  options.signal?.throwIfAborted();
  return confine(own, confined, options.user);
}

function spawn({ argv, env }: Confinement, options: RunOptions, write: number) {
  try {
    return Bun.spawn(argv, {
      cwd: isOther(options.user) ? "/" : (options.cwd ?? "/"),
      env,
      stdio: [options.stdin ?? "ignore", options.stdout ?? write, write, ...(options.more ?? [])],
      detached: true,
      ...(options.account ? { uid: options.account.uid, gid: options.account.gid } : {}),
    });
  } catch (error) {
    if (codeOf(error) !== "ENOENT" && codeOf(error) !== "EACCES") throw error;
    throw new DpError("host", `${argv[0]}: not found on this server, or not executable`, { cause: error });
  }
}

/** Ends a group when its time is up or the caller aborts, until `stop` is called. */
function guardOf(group: ReturnType<typeof groupOf>, { timeout = 60_000, signal }: RunOptions) {
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    group.end();
  }, timeout);
  const abort = () => group.end();
  signal?.addEventListener("abort", abort, { once: true });
  return {
    timedOut: () => timedOut,
    stop() {
      clearTimeout(limit);
      signal?.removeEventListener("abort", abort);
    },
  };
}

async function finish(argv: readonly string[], options: RunOptions): Promise<Result> {
  options.signal?.throwIfAborted();
  const { confined } = options;
  const command = confined ? await madeConfined(argv, confined, options) : made(argv, options);
  const [read, write] = pipe();
  let child;
  try {
    givePipe(write, options.user);
    child = spawn(command, options, write);
  } catch (error) {
    closeSync(read);
    throw error;
  } finally {
    closeSync(write);
  }
  const group = groupOf(child.pid);
  const guard = guardOf(group, options);
  const output = readLines(read, options);
  await child.exited;
  const drained =
    (await within(
      DRAIN,
      output.done.then(() => true),
    )) !== null;
  // The child obeyed SIGTERM, but processes that it started may not have, whether or not they hold the pipe.
  if (guard.timedOut() || options.signal?.aborted) group.kill("SIGKILL");
  guard.stop();
  group.forget();
  await command.end();
  if (!drained) await output.cancel();
  closeSync(read);
  const code = await child.exited;
  return {
    code,
    signal: child.signalCode === null ? signalIn(command.isWalled ? code : 0) : String(child.signalCode),
    timedOut: guard.timedOut(),
    text: output.text(),
  };
}

/** The signal that an exit code stands for in a shell; null: none. */
function signalIn(code: number): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return found?.[0] ?? null;
}
