// One child process: a group of its own, a real pipe, a time limit that ends the whole group.
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { codeOf, DpError } from "../errors.ts";
import { confine, type Confined, type Confinement } from "./process/confine.ts";
import { groupOf } from "./process/group.ts";
import { pipe } from "./process/libc.ts";
import { readLines, tail } from "./process/output.ts";
import { commandOf, givePipe, isOther } from "./process/privilege.ts";

export interface RunOptions {
  /** Where it runs; entered by the user that it runs as. Default "/". */
  cwd?: string;
  /** The whole environment of the child. Default: only PATH, HOME and the locale of dp itself. */
  env?: Record<string, string>;
  /** Run as this user when dp is root; ignored otherwise, because then dp is that user. */
  user?: string | undefined;
  /** Milliseconds until the group gets SIGTERM, and SIGKILL five seconds later. Default 60 s. */
  timeout?: number;
  signal?: AbortSignal;
  /** False: a failure is an answer, not an error. */
  check?: boolean;
  /** True: lines are not passed to the log. */
  quiet?: boolean;
  onLine?: (line: string) => void;
  /** An open file that becomes the child's stdin; default is /dev/null. Closed by the caller. */
  stdin?: number;
  /** An open file that takes stdout instead of the pipe (stderr stays in the pipe). Closed by the caller. */
  stdout?: number;
  /** A build or hook: below the app in rank, within limits, and all that it started ends with it. */
  confined?: Confined | undefined;
  /** Bytes of output kept for `text`. Default 1 MiB: the end is kept. */
  keep?: number;
}

export interface Result {
  /** The exit code, or 128 + signal number. */
  code: number;
  signal: string | null;
  timedOut: boolean;
  /** The output's end, stdout and stderr together, without a final newline. */
  text: string;
}

/** Also what a shell says of a command of its own that SIGKILL has ended. */
const KILLED = 128 + 9;
// A daemon that the child left behind may hold the pipe for ever: wait this long, then go on.
const DRAIN = 500;

/** dp's own environment, reduced to what any program may see. */
export function plainEnv(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "LANG", "LC_ALL", "TZ"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/**
 * Runs a program to its end. Throws DpError "command" with the last lines when it exits non-zero or runs
 * out of time, DpError "host" when it does not exist; AbortSignal's reason when aborted.
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
      : `exited with ${result.code}`;
  const memory = result.code === KILLED && !result.timedOut ? confined?.build?.memory : undefined;
  const hint = memory === undefined ? lineEndHint(result.text) : `build in config.yml limits it to ${memory} of memory`;
  return new DpError("command", `${argv.join(" ")} ${how}`, {
    lines: tail(result.text, 25),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What to type when a shell, or env, has stumbled over a carriage return. */
function lineEndHint(text: string): string | undefined {
  const found =
    /(\S+): \S*(?:\^M|\r): bad interpreter|(\S+): line \d+: \$'[^']*\\r': command|env: \S+\\r['’]: No such/.exec(text);
  return found ? `Windows line ends: sed -i 's/\\r$//' ${found[1] ?? found[2] ?? "SCRIPT"}, then commit` : undefined;
}

/** The command as it is started: by its user, and confined if it is to be. */
function made(argv: readonly string[], { user, cwd, env = plainEnv(), confined }: RunOptions): Confinement {
  const own = commandOf(argv, env, user, cwd);
  return confined ? confine(own, confined, user) : { ...own, end: () => Promise.resolve() };
}

function spawn({ argv, env }: Confinement, options: RunOptions, write: number) {
  try {
    return Bun.spawn(argv, {
      cwd: isOther(options.user) ? "/" : (options.cwd ?? "/"),
      env,
      stdin: options.stdin ?? "ignore",
      stdout: options.stdout ?? write,
      stderr: write,
      detached: true,
    });
  } catch (error) {
    if (codeOf(error) !== "ENOENT" && codeOf(error) !== "EACCES") throw error;
    throw new DpError("host", `${argv[0]}: not found on this server, or not executable`, { cause: error });
  }
}

/** Ends a group when its time is over, or whoever wants its answer gives up, until `stop`. */
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
  const command = made(argv, options);
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
  const drained = await within(DRAIN, output.done);
  // The child heeded SIGTERM; what it started may not have, whether it holds the pipe or not.
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

/** The signal that an exit code stands for, as a shell says it; null: none. */
function signalIn(code: number): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return found?.[0] ?? null;
}

/** Whether a promise is fulfilled within `ms`; the timer does not outlive the answer, or dp would not end before it. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
