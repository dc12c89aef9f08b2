// How long one step may take in all: a safety net around the limits of its commands, above every wait that it is
// allowed.
import { durationText } from "../config/duration.ts";
import { factOf, type Run } from "./run-file.ts";
import { DpError } from "../errors.ts";
import { fact } from "./facts.ts";
import type { ProcessConfig, ServerConfig } from "../config/types.ts";

/** The largest number of commands, each with its stepTimeout, that one step runs. */
const COMMANDS = 4;
/** How long a step may take to stop, in ms: its commands get SIGTERM, then SIGKILL. */
const GRACE = 10_000;
/** The longest delay of a timer. */
const LONGEST = 2 ** 31 - 1;

/** The limit of each step of a run in ms, from stepTimeout and every wait in the configs. */
export function stepLimit(run: Run): number {
  const server = factOf(run, "server", fact.server);
  const config = "config" in run.facts ? factOf(run, "config", fact.config) : undefined;
  const { drainTimeout = 0, holdTimeout = 0, verifyTime = 0, stepTimeout = 900_000, stopTimeout = 30_000 } = server;
  const web = [config?.healthCheck?.startTimeout ?? 0, stopTimeout];
  const others = Object.entries(config?.processes ?? {}).map(
    ([name, process]) => (server.scale[name] ?? 1) * changeOver(process, server),
  );
  const waits = [drainTimeout, holdTimeout, verifyTime, ...web, ...others].reduce((sum, ms) => sum + ms, 0);
  // Twice, because a new instance that fails is stopped again, and the old one started.
  return Math.min(COMMANDS * stepTimeout + 2 * waits, LONGEST);
}

function changeOver({ healthCheck, stopTimeout }: ProcessConfig, server: ServerConfig): number {
  const proof = "stayUp" in healthCheck ? healthCheck.stayUp : healthCheck.startTimeout + healthCheck.timeout;
  return proof + (stopTimeout ?? server.stopTimeout);
}

/**
 * Answers what `work` answers. After `ms` its signal is aborted, and `within` waits only until it has stopped, then
 * throws DpError "command" with `what` as its subject. Aborting `stop` aborts the signal, too.
 */
export async function within<T>(
  ms: number,
  what: string,
  stop: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  patience = GRACE,
): Promise<T> {
  const limit = new AbortController();
  const late = Promise.withResolvers<never>();
  const error = new DpError("command", `${what} did not end within ${durationText(ms)}, its limit`, {
    hint: "stepTimeout in config.yml raises it",
  });
  let grace: Timer | undefined;
  const timer = setTimeout(() => {
    limit.abort(error);
    grace = setTimeout(() => late.reject(error), patience);
  }, ms);
  try {
    return await Promise.race([work(AbortSignal.any([limit.signal, ...(stop ? [stop] : [])])), late.promise]);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
  }
}
