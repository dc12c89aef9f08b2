// `dp logs --deploy`: the output of a deploy.
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError, EXIT } from "../errors.ts";
import { readText } from "../host/files.ts";
import { onReaderGone } from "../host/process/reader.ts";
import { firstDeploy } from "../release/first-deploy.ts";
import { holder, runsOf, logOf } from "../release/history.ts";
import { sequenceOf } from "../text/ids.ts";
import { toldApp } from "../release/known-app.ts";
import { follow } from "./log/follower.ts";
import { lineSink } from "../host/sink.ts";

/** Which lines of a log are wanted. */
export interface LogsOptions {
  follow: boolean;
  /** How many lines to print, counted from the end. */
  lines: number;
  /** Only lines since then, in ms since 1970. */
  since?: number;
  /** Only lines that match it, after secrets have been masked. */
  grep?: RegExp;
  /** The newest failed run instead of the live or newest one. */
  failed?: boolean;
}

/** Prints the log of a deploy, the newest without `wish`; with `follow` until the deploy has ended. */
export async function deployLogs(
  name: string,
  wish: string | undefined,
  options: LogsOptions,
  print: (line: string) => void,
  tell: (line: string) => void,
): Promise<void> {
  const app = await toldApp(name, tell);
  const found = await findRun(app, wish, options.failed === true);
  const log = logOf(app, found.id);
  const text = await readText(log);
  if (text === null) throw new DpError("usage", `${found.id} has no log: its steps were run by hand`);
  const isWanted = (line: string) => options.grep === undefined || options.grep.test(line);
  if (!options.follow || found.state !== "running") {
    const lines = text.trimEnd().split("\n").filter(isWanted);
    for (const line of options.lines > 0 ? lines.slice(-options.lines) : []) print(line);
    return;
  }
  onReaderGone(() => process.exit(EXIT.hungUp));
  await follow(
    log,
    0,
    ended(app, found.id),
    lineSink((line) => isWanted(line) && print(line)),
  );
}

async function findRun(app: App, wish: string | undefined, failed: boolean) {
  const all = await runsOf(app);
  const runs = failed ? all.filter(({ state }) => state === "failed") : all;
  const found =
    wish === undefined ? runs.at(-1) : runs.findLast(({ id }) => id === wish || String(sequenceOf(id)) === wish);
  if (found) return found;
  const what = failed ? "failed deploy" : "deploy";
  throw new DpError(
    "usage",
    wish === undefined ? `${app.name} has no ${what} yet` : `${app.name} has no ${what} ${JSON.stringify(wish)}`,
    { hint: all.length === 0 ? await firstDeploy(app) : `dp releases ${app.name}` },
  );
}

/**
 * Waits until a run no longer holds the lock. The lock tells, not the log: it is free as soon as the run is over,
 * however it ended.
 */
export async function ended(app: NamedApp, id: string): Promise<number> {
  while (holder(app)?.id === id) await Bun.sleep(100);
  return 0;
}
