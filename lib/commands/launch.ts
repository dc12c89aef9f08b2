// A deploy as a process of its own, and whoever started it as its reader.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../errors.ts";
import { follow, printer } from "../talk/follower.ts";
import { liveId, runsOf, type RunState } from "../release/history.ts";
import { places } from "../paths.ts";
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

/** How a run is launched. */
export interface LaunchOptions {
  /** Begin at this step. */
  from?: string;
  /** The answer is JSON on stdout, so that the log goes to stderr. */
  json?: boolean;
  /** The process of git that waits for its hook. */
  git?: string;
}

/**
 * Runs a begun deploy in a process of its own session, which survives this one, and prints its log until it
 * ends: on stdout, or on stderr when the answer is JSON.
 */
export async function launch(app: string, id: string, options: LaunchOptions = {}): Promise<Ended> {
  mkdirSync(places(app).logs, { recursive: true, mode: 0o750 });
  const log = logOf(app, id);
  const fd = openSync(log, "a", 0o640);
  const start = Bun.file(log).size;
  const given = Object.entries({ from: options.from, git: options.git }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  const argv = [...SELF, "work", app, id, ...given];
  const begun = performance.now();
  const worker = Bun.spawn(argv, { cwd: "/", env: selfEnv(), stdin: "ignore", stdout: fd, stderr: fd, detached: true });
  closeSync(fd);
  sayThatItGoesOn(app);
  const exited = await follow(log, start, worker.exited, printer(options.json ? 2 : 1));
  const code = worker.signalCode === null ? exited : wasKilled(app);
  const took = Math.round(performance.now() - begun);
  const past = (await runsOf(app)).find((candidate) => candidate.id === id);
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
