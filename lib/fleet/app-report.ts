// The report of one app: what is live, how it is, what happens to it, and its last runs.
import { statSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import type { DeployConfig } from "../config/types.ts";
import { handLock } from "../deploy/hand-lock.ts";
import { urlOf } from "../deploy/log/screen.ts";
import { owedName } from "../deploy/owed.ts";
import { lateFrom } from "../domains/late.ts";
import { hostsOf } from "../domains/report.ts";
import { DpError, messageOf } from "../errors.ts";
import { askPublic } from "../health/public-check.ts";
import type { InstanceStatus } from "../host/instance.ts";
import { memoryOf } from "../host/process/group-memory.ts";
import { isReleaseId, isWeb, processOf } from "../text/ids.ts";
import { muteOf, readMutes } from "../notify/targets.ts";
import { fact } from "../pipeline/facts.ts";
import { orderOf } from "../pipeline/runner.ts";
import { factOf, load, type Run } from "../pipeline/run-file.ts";
import { currentOf } from "../release/current.ts";
import { momentOf, newestRun, readOnce, runFile, type Holder, type Moment } from "../release/history.ts";
import { lastRun } from "../release/job.ts";
import { knownApp, mistakeOf } from "../release/known-app.ts";
import { managerNameOf } from "../release/manager.ts";
import { maintenanceOf } from "../release/maintenance.ts";
import { hasWeb, idsOfRelease, stoppedIds } from "../release/processes.ts";
import type { Watched } from "../watch/state.ts";
import { MINUTES, RUNS, type AppReport } from "./document.ts";
import type { KeptApp } from "./kept.ts";
import { keptRuns } from "./runs.ts";
import { withoutPaths } from "./words.ts";

/** How long a health check may take here: a report waits for the slowest app. */
const PROBE = 1_000;

/** What is known of an app when nothing can be read. */
const UNKNOWN: Omit<AppReport, "app"> = {
  type: null,
  manager: null,
  url: null,
  live: null,
  subject: null,
  by: null,
  at: null,
  state: "unknown",
  health: null,
  ms: null,
  since: null,
  detail: "",
  restarts: 0,
  mem: null,
  procs: { running: 0, wanted: 0 },
  processes: [],
  failing: [],
  requests: null,
  failed: null,
  connections: null,
  minutes: null,
  runs: [],
  lock: null,
  maintenance: null,
  certs: [],
  muted: null,
  owed: null,
  deploying: null,
  lastFailure: null,
};

const seconds = (iso: string | null | undefined) => {
  const ms = Date.parse(iso ?? "");
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000);
};

/** How closely an app is looked at. */
interface Sight {
  /** How many runs are read at most. */
  most?: number | undefined;
  /** What `dp watch` saw last, in place of a health check; null: it is asked. */
  seen?: Watched | null;
}

/** The report of an app and what is to be kept of it; an app that cannot be read is "unknown", and says why. */
export async function appReport(
  name: string,
  before: KeptApp | undefined,
  now: number,
  { most = RUNS, seen = null }: Sight = {},
): Promise<{ report: AppReport; kept: KeptApp | undefined }> {
  const report: AppReport = { app: name, ...UNKNOWN };
  try {
    const { app, mistake } = await knownApp(name);
    const { kept, ids } = await keptRuns(app, before, most);
    Object.assign(report, await standing(app, kept, ids, seen));
    if (mistake !== null) report.detail ||= withoutPaths(mistake);
    if (report.state === "down") kept.downSince ??= now;
    else kept.downSince = null;
    if (report.state === "down") report.since = kept.downSince;
    return { report, kept };
  } catch (error) {
    report.detail = withoutPaths(error instanceof DpError ? mistakeOf(error) : messageOf(error));
    return { report, kept: before };
  }
}

async function standing(
  app: App,
  kept: KeptApp,
  ids: readonly string[],
  seen: Watched | null,
): Promise<Partial<AppReport>> {
  const { live, damage } = await currentOf(app);
  const moment = await momentOf(app);
  const { held } = moment;
  const told: Partial<AppReport> = {
    manager: app.server.manager,
    live,
    state: damage ? "unknown" : "empty",
    detail: damage ? withoutPaths(damage.what) : "",
    runs: ids.slice(-RUNS).flatMap((id) => {
      const run = kept.runs[id];
      return run ? [[run.took, run.state, id] as [number, string, string]] : [];
    }),
    lock: lockOf(app),
    maintenance: closedBy(app),
    certs: await certsOf(app),
    muted: mutedUntil(app.name),
    owed: await owedName(app),
    lastFailure: await lastFailure(app, moment),
  };
  if (live !== null) Object.assign(told, await liveReport(app, live, kept, seen));
  if (held === null || !isReleaseId(held.id)) return told;
  told.deploying = await deployOf(app, held);
  if (told.deploying !== null) Object.assign(told, { state: "deploying", since: told.deploying.began });
  return told;
}

function closedBy(app: App): AppReport["maintenance"] {
  const maintenance = maintenanceOf(app);
  return maintenance && { by: maintenance.by, since: seconds(maintenance.since) };
}

function lockOf(app: App): AppReport["lock"] {
  const lock = handLock(app);
  return lock && { by: lock.by, since: seconds(lock.since), reason: lock.reason };
}

async function certsOf(app: App): Promise<AppReport["certs"]> {
  const rows = await hostsOf(app);
  return rows.map(({ name, from, until, source, error }) => ({
    name,
    until: seconds(until),
    late: from === null || until === null ? null : Math.floor(lateFrom({ from, until }, source) / 1000),
    error: error && withoutPaths(error),
  }));
}

/** Until when a mute of its own holds, or with null one of the whole server; null: none does. */
export function mutedUntil(name: string | null): number | null {
  try {
    const mutes = readMutes();
    const own = name === null ? mutes : { all: null, apps: mutes.apps };
    return seconds(muteOf(own, name, Date.now())?.until);
  } catch {
    return null; // damaged: dp notify says so
  }
}

async function lastFailure(app: App, moment: Moment): Promise<AppReport["lastFailure"]> {
  const last = await newestRun(app, moment);
  if (last === null || (last.state !== "failed" && last.state !== "unfinished")) return null;
  const { facts, journal, result } = last.run;
  // Its own undo came after it, and left the error.
  const step = Object.entries(journal).findLast(
    ([, each]) => each.error !== undefined || each.state === "running",
  )?.[0];
  return {
    id: last.id,
    step: step ?? "",
    error: withoutPaths(result?.error ?? `it was interrupted: dp resume ${app.name}`),
    by: String(facts["by"] ?? ""),
    at: seconds(result?.endedAt ?? String(facts["startedAt"] ?? "")) ?? 0,
    code: result?.code ?? 0,
  };
}

/** The deploy that holds the app; null when its run file is not there yet, or damaged. */
async function deployOf(app: App, { id, by, since }: Holder): Promise<AppReport["deploying"]> {
  try {
    const { facts, journal } = await load(runFile(app, id));
    const order = orderOf({ version: 1, facts, journal });
    const step = Object.entries(journal).findLast(([, { state }]) => state === "running")?.[0];
    const index = step === undefined ? Object.keys(journal).length : order.indexOf(step) + 1;
    const began = seconds(String(facts["startedAt"] ?? since)) ?? 0;
    return {
      id,
      subject: String(facts["subject"] ?? ""),
      by,
      step: step ?? "",
      index: Math.max(0, index),
      of: order.length,
      began,
    };
  } catch (error) {
    if (error instanceof DpError) return null;
    throw error;
  }
}

async function liveReport(app: App, live: string, kept: KeptApp, seen: Watched | null): Promise<Partial<AppReport>> {
  let run: Run;
  try {
    run = await readOnce(runFile(app, live));
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return { state: "unknown", detail: withoutPaths(messageOf(error)) };
  }
  const config = factOf(run, "config", fact.config);
  const told: Partial<AppReport> = {
    type: config.type,
    manager: await managerNameOf(app, live),
    url: hasWeb(config) ? urlOf(app.server) : null,
    subject: String(run.facts["subject"] ?? ""),
    ...putLive(live, run, kept),
  };
  const stopped = await stoppedIds(app);
  const [front, health, processes] = await Promise.all([
    frontOf(app), // first: a front that answers 1,000 health checks has no time for it
    seen?.live === live ? healthSeen(seen) : stopped.has(live) ? null : healthOf(app, config),
    processesOf(app, live, config, stopped),
  ]);
  return { ...told, ...front, ...stateOf(health, processes, stopped.size === 0 ? null : stoppedAt(app)) };
}

/** Who put the release live, and when: for a rollback, whoever typed that. */
function putLive(live: string, run: Run, kept: KeptApp): Pick<AppReport, "by" | "at"> {
  const last = Object.values(kept.runs)
    .filter(({ state, release }) => state === "good" && release === live)
    .toSorted((a, b) => a.endedAt - b.endedAt)
    .at(-1);
  if (last) return { by: last.by, at: last.endedAt };
  return { by: String(run.facts["by"] ?? ""), at: seconds(String(run.facts["startedAt"] ?? "")) };
}

/** The answer that the last look got, if it asked. */
const healthSeen = ({ health, ms, verdict }: Watched) =>
  health === null ? null : { isHealthy: verdict === "ok", text: health, ms: ms ?? 0 };

/** The answer to the health check through the public port; null: there is no web process. */
async function healthOf(app: App, { healthCheck }: DeployConfig) {
  if (healthCheck === undefined) return null;
  const check = { ...healthCheck, timeout: Math.min(PROBE, healthCheck.timeout) };
  const { isHealthy, text, ms } = await askPublic(app, check);
  return { isHealthy, text, ms: Math.round(ms * 10) / 10 };
}

/** The processes of the live release, those that were stopped by hand marked, and jobs that failed last. */
async function processesOf(app: App, live: string, config: DeployConfig, stopped: ReadonlySet<string>) {
  const { name, manager } = app;
  const ids = idsOfRelease(live, config, app.server);
  const states = await Promise.all(
    ids.map(async (id) => ({ id, isStopped: stopped.has(id), ...(await manager.status({ app: name, id })) })),
  );
  const jobs = await Promise.all(config.cron.map((entry) => lastRun(app, entry.name)));
  const failed = jobs.filter((job) => job !== null && job.code !== 0 && job.endedAt !== null) as {
    name: string;
    detail: string;
  }[];
  return {
    states,
    jobs: failed.map(({ name: job, detail }) => ({ process: `cron.${job}`, detail: detail || "failed" })),
    mem: memoryOfAll(name, states),
  };
}

type ProcessState = InstanceStatus & { id: string; isStopped: boolean };

function memoryOfAll(name: string, states: readonly ProcessState[]): number | null {
  const sizes = states.flatMap(({ id, pid }) => {
    if (pid === null) return [];
    const isOwn = (group: string) => group.endsWith(`/${name}@${id}.service`) || /\/(?:docker|libpod)-/.test(group);
    return memoryOf(pid, isOwn) ?? [];
  });
  return sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0);
}

/** What the front counts: nothing when there is none, or it does not run. */
async function frontOf(app: App): Promise<Partial<AppReport>> {
  const route = await app.front.status(app.name).catch(() => null);
  if (route === null) return {};
  const { requests, failed, connections } = route;
  // A relay that was started by an older dp does not count minutes.
  const minutes = route.minutes?.length === MINUTES ? route.minutes : null;
  return { requests, failed, connections, minutes };
}

/** When `dp stop` was typed last; null: it is not known. */
function stoppedAt(app: App): number | null {
  const stat = statSync(join(app.places.instances, "stopped"), { throwIfNoEntry: false });
  return stat ? Math.floor(stat.mtimeMs / 1000) : null;
}

type Health = Awaited<ReturnType<typeof healthOf>>;
type Processes = Awaited<ReturnType<typeof processesOf>>;

function stateOf(health: Health, { states, jobs, mem }: Processes, stoppedSince: number | null): Partial<AppReport> {
  const wanted = states.filter(({ isStopped }) => !isStopped);
  const running = wanted.filter(({ state }) => state === "running");
  const web = wanted.find(({ id }) => isWeb(id));
  const others = wanted.filter(({ id, state }) => !isWeb(id) && state !== "running");
  const told: Partial<AppReport> = {
    restarts: states.reduce((sum, { restarts }) => sum + restarts, 0),
    mem,
    procs: { running: running.length, wanted: wanted.length },
    processes: countsOf(states),
    failing: [...others.map(({ id, state, detail }) => ({ process: processOf(id), detail: detail || state })), ...jobs],
    health: health?.text ?? null,
    ms: health?.isHealthy ? health.ms : null,
  };
  if (wanted.length === 0 && states.length > 0) return { ...told, state: "stopped", since: stoppedSince };
  const isDown = health === null ? running.length === 0 : !health.isHealthy;
  const ill = web ?? wanted.find(({ state }) => state !== "running");
  if (isDown) return { ...told, state: "down", detail: ill ? detailOf(ill) : "" };
  return { ...told, state: "ok", since: seconds((web ?? running[0])?.since) };
}

/** `exited with code 1, 5 restarts`. */
function detailOf({ state, detail, restarts }: ProcessState): string {
  const how = detail || (state === "running" ? "" : state);
  return [how, restarts > 0 ? `${restarts} restarts` : ""].filter(Boolean).join(", ");
}

function countsOf(states: readonly ProcessState[]): AppReport["processes"] {
  const counts = new Map<string, { process: string; state: string; count: number }>();
  for (const { id, state } of states) {
    const process = processOf(id).replace(/\.\d+$/, "");
    const row = counts.get(`${process} ${state}`) ?? { process, state, count: 0 };
    row.count++;
    counts.set(`${process} ${state}`, row);
  }
  return [...counts.values()];
}
