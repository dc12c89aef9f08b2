// A run that is worked on, and whoever started it as its reader.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { follow, printer } from "../talk/follower.ts";
import { liveId, runOf, type RunState } from "../release/history.ts";
import { places } from "../paths.ts";
import { hire, type Order, type Worker } from "./worker.ts";

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

/** How a run is launched. */
export interface LaunchOptions extends Omit<Order, "id"> {
  /** The answer is JSON on stdout, so that the log goes to stderr. */
  json?: boolean;
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

async function employ(worker: Worker, app: string, id: string, options: LaunchOptions): Promise<Ended> {
  mkdirSync(places(app).logs, { recursive: true, mode: 0o750 });
  const log = logOf(app, id);
  closeSync(openSync(log, "a", 0o640));
  const start = Bun.file(log).size;
  const begun = performance.now();
  worker.order({ id, from: options.from, git: options.git });
  const code = await follow(log, start, worker.ended, worker.watched(printer(options.json ? 2 : 1)));
  const took = Math.round(performance.now() - begun);
  const past = await runOf(app, id).catch(() => null); // the exit code is all that is left to tell
  const error = past?.run.result?.error ?? null;
  return { app, id, live: await liveId(app), state: past?.state ?? "unfinished", code, error, took, log };
}
