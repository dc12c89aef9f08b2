// What a step may do to the outside world: run programs, print messages, wait.
import { run, type Result, type RunOptions } from "./run.ts";

/** The log of a deploy. The runner of the steps decides where its lines go. */
export interface Log {
  /** A sentence by dp about the current step. */
  info(text: string): void;
  /** Something for the user to look at; the deploy goes on. */
  warn(text: string): void;
  /** One line of a child's output, shown indented. */
  output(line: string): void;
}

/** Passed to every step, app type and manager. */
export interface Io extends Log {
  /** Runs a program until it exits; throws DpError "command" when it fails, unless `check` is false. */
  run(argv: readonly string[], options?: RunOptions): Promise<Result>;
  /** Resolves after `ms` milliseconds, or rejects as soon as `signal` is aborted. */
  sleep(ms: number): Promise<void>;
  /** Aborted when the deploy must stop: SIGINT, SIGTERM or a time limit. */
  readonly signal: AbortSignal;
}

/** An Io that writes to `log`. Output of child processes goes to `log.output` unless they are `quiet`. */
export function makeIo(log: Log, signal: AbortSignal = new AbortController().signal): Io {
  return {
    ...log,
    signal,
    run: (argv, options = {}) =>
      run(argv, {
        signal,
        ...options,
        ...(options.quiet ? {} : { onLine: options.onLine ?? ((line) => log.output(line)) }),
      }),
    sleep: (ms) => sleep(ms, signal),
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** A log that discards everything, for commands that only read. */
export const silentLog: Log = { info() {}, warn() {}, output() {} };
