// `dp logs`: what the app says, or what a deploy said.
import { DpError } from "../errors.ts";
import type { ServerConfig } from "../config.ts";
import { readText } from "../files.ts";
import { follow, lineSink } from "../talk/follower.ts";
import { holder, idOf, liveId, runsOf } from "../release/history.ts";
import { makeIo, silentLog } from "../io.ts";
import { sequenceOf } from "../paths.ts";
import { managerOf } from "../release/manager.ts";
import { secretsOf } from "../release/settings.ts";
import { redactor } from "../talk/redactor.ts";
import { readServer } from "../server.ts";
import { logOf } from "./launch.ts";

export interface LogsOptions {
  follow: boolean;
  /** How many of the last lines, of those that are wanted. */
  lines: number;
  /** Only lines from then on, ms since 1970. */
  since?: number;
  /** Only lines that it matches, secrets masked before. */
  grep?: RegExp;
  /** What the newest failure said, instead of what is live or newest. */
  failed?: boolean;
}

/** One line of an app's output. */
export interface AppLine {
  /** ISO 8601, or null where it is not known. */
  time: string | null;
  process: string;
  release: string;
  line: string;
}

/** `2026-03-01T12:04:11.123Z web[42-3f9c2ab]: listening`. */
export const appLineText = ({ time, process, release, line }: AppLine): string =>
  `${time ?? "-"} ${process}[${release}]: ${line}`;

const ALL = 1_000_000;
/** How often it is asked whether another release went live, in ms. */
const LOOK = 250;

/** Prints the output of the live instance; with `follow` until SIGINT, and that of the releases that follow it. */
export async function appLogs(app: string, options: LogsOptions, print: (line: AppLine) => void): Promise<void> {
  const server = await readServer(app);
  const id = options.failed ? await failedRelease(app) : await liveId(app);
  if (id === null) throw new DpError("usage", `${app} has no live release yet`, { hint: `dp logs ${app} --deploy` });
  const clean = redactor(await secretsOf(app, server));
  if (options.follow)
    return followApp(app, server, id, options, (line) => isWanted(line, options) && print(line), clean);
  const last: AppLine[] = [];
  const isNarrow = options.since === undefined && options.grep === undefined;
  const take = (line: AppLine) => {
    if (!isWanted(line, options) || last.push(line) <= 2 * options.lines) return;
    last.splice(0, last.length - options.lines);
  };
  const lines = isNarrow ? options.lines : ALL;
  const onLine = linesOf(id, clean, take);
  await (
    await managerOf(server)
  ).logs({ app, id }, { lines, follow: false, since: options.since, onLine }, makeIo(silentLog));
  if (options.lines > 0) last.slice(-options.lines).forEach(print);
}

function isWanted({ time, line }: AppLine, { since, grep }: LogsOptions): boolean {
  if (since !== undefined && (time === null || Date.parse(time) < since)) return false;
  return grep === undefined || grep.test(line);
}

// A line without a time belongs to the one before it.
function linesOf(release: string, clean: (line: string) => string, take: (line: AppLine) => void) {
  let known: string | null = null;
  return (line: string, time?: string | null) => {
    known = time ?? known;
    take({ time: known, process: "web", release, line: clean(line) });
  };
}

async function followApp(
  app: string,
  server: ServerConfig,
  first: string,
  { lines, since }: LogsOptions,
  take: (line: AppLine) => void,
  clean: (line: string) => string,
): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new DpError("interrupted", "interrupted")));
  process.once("SIGTERM", () => stop.abort(new DpError("terminated", "terminated")));
  const io = makeIo(silentLog, stop.signal);
  const managed = await managerOf(server);
  const followed = new Map<string, Promise<void>>();
  const add = (id: string, count: number) => {
    const onLine = linesOf(id, clean, take);
    followed.set(id, managed.logs({ app, id }, { lines: count, follow: true, since, onLine }, io));
  };
  add(first, since === undefined ? lines : ALL);
  while (!stop.signal.aborted) {
    // A follower that fails is heard of at once.
    await Promise.race([...followed.values(), Bun.sleep(LOOK)]);
    const live = await liveId(app);
    if (live !== null && !followed.has(live)) add(live, ALL);
  }
  await Promise.all(followed.values());
}

async function failedRelease(app: string): Promise<string> {
  const started = (await runsOf(app)).filter(({ run, state }) => state === "failed" && "start" in run.journal);
  const id = started.map(({ run }) => idOf(String(run.facts["release"] ?? ""))).at(-1);
  if (id) return id;
  throw new DpError("usage", `no release of ${app} has failed after it was started`, {
    hint: `dp logs ${app} --deploy --failed`,
  });
}

/** Prints the log of a deploy, the newest without `wish`; with `follow` until the deploy has ended. */
export async function deployLogs(
  app: string,
  wish: string | undefined,
  options: LogsOptions,
  print: (line: string) => void,
): Promise<void> {
  await readServer(app);
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
  await follow(
    log,
    0,
    ended(app, found.id),
    lineSink((line) => isWanted(line) && print(line)),
  );
}

async function findRun(app: string, wish: string | undefined, failed: boolean) {
  const all = await runsOf(app);
  const runs = failed ? all.filter(({ state }) => state === "failed") : all;
  const found =
    wish === undefined ? runs.at(-1) : runs.findLast(({ id }) => id === wish || String(sequenceOf(id)) === wish);
  if (found) return found;
  const what = failed ? "failed deploy" : "deploy";
  throw new DpError(
    "usage",
    wish === undefined ? `${app} has no ${what} yet` : `${app} has no ${what} ${JSON.stringify(wish)}`,
    { hint: `dp releases ${app}` },
  );
}

// The lock tells, not the log: it is free as soon as the deploy is over, however it ended.
async function ended(app: string, id: string): Promise<number> {
  while (holder(app)?.id === id) await Bun.sleep(100);
  return 0;
}
