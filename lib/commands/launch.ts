// A deploy as a process of its own, and whoever started it as its reader.
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { codeOf, EXIT } from "../errors.ts";
import { follow, printer } from "../talk/follower.ts";
import { liveId, runOf, type RunState } from "../release/history.ts";
import { places } from "../paths.ts";
import { pipe } from "../process/libc.ts";
import { SELF, selfEnv } from "../self.ts";

/** The log of a run. */
export function logOf(app: string, id: string): string {
  return join(places(app).logs, `${id}.log`);
}

/** How a launched run ended. */
export interface Ended {
  app: string;
  id: string;
  /** The release that is live now, or null. */
  live: string | null;
  state: RunState;
  /** The exit code. */
  code: number;
  error: string | null;
  /** Milliseconds from begin to end. */
  took: number;
  log: string;
}

/** What a worker is told, as one JSON object on its stdin. */
export interface Order {
  id: string;
  /** Begin at this step. */
  from?: string | undefined;
  /** The process of git that waits for its hook, see gate.ts. */
  git?: string | undefined;
}

/** How a run is launched. */
export interface LaunchOptions extends Omit<Order, "id"> {
  /** The answer is JSON on stdout, so that the log goes to stderr. */
  json?: boolean;
}

/** A process that is about to work on a run. */
interface Worker {
  process: Bun.Subprocess;
  /** Tells it what to do; null: nothing, and it ends. */
  order(order: Order | null): void;
}

/**
 * Starts the process of a deploy, in a session of its own, which survives this one. It loads what it needs while the
 * run is still being begun; without an order it ends when this process does.
 */
function hire(app: string): Worker {
  const [read, write] = pipe();
  try {
    const stdio = { stdin: read, stdout: "ignore", stderr: "inherit" } as const;
    const argv = [...SELF, "work", app];
    const child = Bun.spawn(argv, { cwd: "/", env: selfEnv(), ...stdio, detached: true });
    child.unref(); // or this process would wait for one that waits for it
    return {
      process: child,
      order(order) {
        if (order) tell(write, JSON.stringify(order));
        closeSync(write);
      },
    };
  } finally {
    closeSync(read);
  }
}

// One that died before it was told anything says so by its exit code.
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
  }
}

/** Begins a run, and launches it by a worker that gets ready meanwhile. Throws what `begin` throws. */
export async function beginAndLaunch(
  app: string,
  begin: () => Promise<{ id: string }>,
  options: LaunchOptions = {},
): Promise<Ended> {
  const worker = hire(app);
  let id: string;
  try {
    ({ id } = await begin());
  } catch (error) {
    worker.order(null);
    throw error;
  }
  return employ(worker, app, id, options);
}

/** Launches a begun run, and prints its log until it ends: on stdout, or on stderr when the answer is JSON. */
export const launch = (app: string, id: string, options: LaunchOptions = {}) => employ(hire(app), app, id, options);

async function employ(
  { process: worker, order }: Worker,
  app: string,
  id: string,
  options: LaunchOptions,
): Promise<Ended> {
  mkdirSync(places(app).logs, { recursive: true, mode: 0o750 });
  const log = logOf(app, id);
  closeSync(openSync(log, "a", 0o640));
  const start = Bun.file(log).size;
  const begun = performance.now();
  order({ id, from: options.from, git: options.git });
  sayThatItGoesOn(app);
  const exited = await follow(log, start, worker.exited, printer(options.json ? 2 : 1));
  const code = worker.signalCode === null ? exited : wasKilled(app);
  const took = Math.round(performance.now() - begun);
  const past = await runOf(app, id).catch(() => null); // the exit code is all that is left to tell
  const error = past?.run.result?.error ?? null;
  return { app, id, live: await liveId(app), state: past?.state ?? "unfinished", code, error, took, log };
}

function wasKilled(app: string): number {
  console.error(`dp: the process of the deploy was killed; what it left is ended by: dp resume ${app}`);
  return EXIT.terminated;
}

// Whoever stops reading does not stop the deploy.
function sayThatItGoesOn(app: string): void {
  const leave = (code: number) => () => {
    console.error(`\ndp: the deploy goes on: dp logs ${app} --deploy -f`);
    process.exit(code);
  };
  process.once("SIGINT", leave(EXIT.interrupted));
  process.once("SIGTERM", leave(EXIT.terminated));
  process.on("SIGHUP", () => undefined);
}
