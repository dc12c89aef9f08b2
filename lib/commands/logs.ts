// `dp logs`: the output of the app, process by process.
import { DpError } from "../errors.ts";
import { nothingLive } from "../release/first-deploy.ts";
import { runsOf } from "../release/history.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { onReaderGone, requireReader } from "../host/process/reader.ts";
import type { App } from "../contracts/app.ts";
import { idOf, isWeb, jobId, processOf, releaseOf } from "../text/ids.ts";
import { factsOfRelease, type InstanceFacts } from "../release/instance.ts";
import { toldApp } from "../release/known-app.ts";
import { secretsOf } from "../release/settings.ts";
import { redactor } from "../deploy/log/redactor.ts";
import { didYouMean } from "../text/suggestion.ts";
import { inOrder } from "./log-order.ts";
import { liveOf, named } from "./processes.ts";
import type { LogsOptions } from "../deploy/deploy-logs.ts";

/** One line of an app's output. */
export interface AppLine {
  /** ISO 8601, or null when unknown. */
  time: string | null;
  process: string;
  release: string;
  line: string;
}

/** `2026-03-01T12:04:11.123Z web[42-3f9c2ab]: listening`. */
export const appLineText = ({ time, process, release, line }: AppLine): string =>
  `${time ?? "-"} ${process}[${release}]: ${line}`;

const ALL = 1_000_000;
/** The pause between two checks whether another release went live, in ms. */
const LOOK = 250;

/**
 * Prints the output of the live release, or only of the process that `word` names: `worker`, `worker.2`,
 * `cron.cleanup`; with `follow` until SIGINT, including the releases after it. `tell` gets the mistake in config.yml.
 */
export async function appLogs(
  name: string,
  word: string | undefined,
  options: LogsOptions,
  print: (line: AppLine) => void,
  tell: (line: string) => void,
): Promise<void> {
  const app = await toldApp(name, tell);
  const release = options.failed ? await failedRelease(app) : await app.live();
  if (release === null) throw await nothingLive(app);
  const idsOf = async (id: string) => speaking(await factsOfRelease(app, id), word);
  const clean = redactor(await secretsOf(app));
  if (options.follow) {
    const take = (line: AppLine) => isWanted(line, options) && print(line);
    return followApp(app, { release, idsOf }, options, take, clean);
  }
  const all: AppLine[] = [];
  for (const id of await idsOf(release)) all.push(...(await lastOf(app, id, options, clean)));
  // Lines of several processes are sorted by time; if any time is unknown, they stay process by process.
  if (all.every(({ time }) => time !== null)) all.sort((a, b) => Date.parse(a.time!) - Date.parse(b.time!));
  if (options.lines > 0) all.slice(-options.lines).forEach(print);
}

/** The instances of a release that a word names; every process without one. Throws DpError "usage". */
function speaking(facts: InstanceFacts, word: string | undefined): string[] {
  const [kind, name = ""] = word?.split(".") ?? [];
  if (kind !== "cron") return named(facts, word);
  const names = facts.config.cron.map((entry) => entry.name);
  if (names.includes(name)) return [jobId(liveOf(facts), name)];
  throw new DpError("usage", `${facts.app.name} has no scheduled job ${JSON.stringify(name)}`, didYouMean(name, names));
}

async function lastOf(
  { name, manager }: App,
  id: string,
  options: LogsOptions,
  clean: (line: string) => string,
): Promise<AppLine[]> {
  const last: AppLine[] = [];
  const take = (line: AppLine) => {
    if (!isWanted(line, options) || last.push(line) <= 2 * options.lines) return;
    last.splice(0, last.length - options.lines);
  };
  const lines = options.since === undefined && options.grep === undefined ? options.lines : ALL;
  const onLine = linesOf(id, clean, take);
  await manager.logs({ app: name, id }, { lines, follow: false, since: options.since, onLine }, makeIo(silentLog));
  return last;
}

function isWanted({ time, line }: AppLine, { since, grep }: LogsOptions): boolean {
  if (since !== undefined && (time === null || Date.parse(time) < since)) return false;
  return grep === undefined || grep.test(line);
}

// A line without a time belongs to the one before it.
function linesOf(id: string, clean: (line: string) => string, take: (line: AppLine) => void) {
  let known: string | null = null;
  const from = { process: isWeb(id) ? "web" : processOf(id), release: releaseOf(id) };
  return (line: string, time?: string | null) => {
    known = time ?? known;
    take({ time: known, ...from, line: clean(line) });
  };
}

async function followApp(
  app: App,
  first: { release: string; idsOf(release: string): Promise<string[]> },
  { lines, since }: LogsOptions,
  print: (line: AppLine) => void,
  clean: (line: string) => string,
): Promise<void> {
  const count = since === undefined ? lines : ALL;
  const order = inOrder(print, count);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new DpError("interrupted", "interrupted")));
  process.once("SIGTERM", () => stop.abort(new DpError("terminated", "terminated")));
  onReaderGone(() => stop.abort(new DpError("hungUp", "nobody reads the output any more")));
  const io = makeIo(silentLog, stop.signal);
  const followed = new Map<string, Promise<void>>();
  const seen = new Set<string>();
  const add = (id: string, count: number) => {
    const onLine = linesOf(id, clean, order.take);
    followed.set(id, app.manager.logs({ app: app.name, id }, { lines: count, follow: true, since, onLine }, io));
  };
  const addRelease = async (release: string, count: number) => {
    seen.add(release);
    for (const id of await first.idsOf(release)) add(id, count);
  };
  try {
    await addRelease(first.release, count);
    while (!stop.signal.aborted) {
      // A follower that fails is noticed at once.
      await Promise.race([...followed.values(), Bun.sleep(LOOK)]);
      const live = await app.live();
      if (live !== null && !seen.has(live)) await addRelease(live, ALL);
    }
    await Promise.all(followed.values());
    requireReader();
  } finally {
    order.end();
  }
}

async function failedRelease(app: App): Promise<string> {
  const started = (await runsOf(app)).filter(({ run, state }) => state === "failed" && "start" in run.journal);
  const id = started.map(({ run }) => idOf(String(run.facts["release"] ?? ""))).at(-1);
  if (id) return id;
  throw new DpError("usage", `no release of ${app.name} has failed after it was started`, {
    hint: `dp logs ${app.name} --deploy --failed`,
  });
}
