// `dp status`: what serves, whether it is healthy, and what is in progress.
import type { App } from "../contracts/app.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { codeOf, DpError, messageOf } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { currentOf, hintOf } from "../release/current.ts";
import { firstDeploy } from "../release/first-deploy.ts";
import { newestRun, runFile, type Holder, type Moment } from "../release/history.ts";
import type { RouteStatus } from "../contracts/front.ts";
import { askPublic } from "../health/public-check.ts";
import { handLock, type HandLock } from "../deploy/hand-lock.ts";
import { owedName } from "../deploy/owed.ts";
import { maintenanceOf, type Maintenance } from "../release/maintenance.ts";
import { settleAll } from "../host/turns.ts";
import { isWeb, processOf } from "../text/ids.ts";
import { othersIn, snapshotOf, stateIn, wantedIn, type Made, type Snapshot } from "../release/snapshot.ts";
import { urlOf } from "../deploy/log/screen.ts";
import { knownApp } from "../release/known-app.ts";
import { idsOfRelease } from "../release/processes.ts";
import { appNames } from "../config/server.ts";
import { targetsOf, type Targets } from "../release/rollback-target.ts";
import { hasServers, ownName } from "../servers/part.ts";
import type { InstanceStatus } from "../host/instance.ts";

export interface Status {
  app: string;
  url: string;
  manager: string;
  branch: string;
  /** The mistake in config.yml, in which case the last deploy's config is used; null: none. */
  mistake: string | null;
  /** The live release, or null before the first good deploy. */
  live: string | null;
  /** What to type while nothing is live; null: a release is live, or the link is damaged. */
  firstDeploy: string | null;
  subject: string | null;
  by: string | null;
  deployedAt: string | null;
  /** The release that was live before. */
  previous: string | null;
  /** The target of `dp rollback`. */
  rollbackTarget: string | null;
  /** The release with the same files that `dp rollback --with-env` takes for its settings. */
  settingsTarget: string | null;
  /** The damage to `current` or to the record of its release, and what to type; null: none. */
  damage: string | null;
  /** The web process; null: there is none. */
  process: InstanceStatus | null;
  /** The other processes, also those that `dp stop` has stopped: `worker.1` -> its state. */
  others: Record<string, InstanceStatus>;
  /**
   * Whether the health check succeeds now, or, without a web process, whether all processes run; null when nothing is
   * live.
   */
  isHealthy: boolean | null;
  /** The answer to the health check: "200", "connection refused"; null: there is no web process. */
  health: string | null;
  /** Instances that keep running for an instant rollback. */
  warm: string[];
  /** Other instances that run: none, except during a deploy. */
  strays: string[];
  /** The front that holds the public port, and its state; null: the app itself, or a front that does not run. */
  front: Omit<RouteStatus, "minutes" | "pass"> | null;
  /** The front that should hold the public port and does not run, or does not know the app; null: there is none. */
  missingFront: string | null;
  /** The running deploy, or null. */
  deploying: Holder | null;
  /** The other servers of the app; empty: it has none, or nobody has asked them. */
  servers: OtherServer[];
  /** With `gate: false`, the commit or run that was pushed but not deployed, or null. */
  owed: string | null;
  /** Who has locked the app by hand, or null. */
  lock: HandLock | null;
  /** Whom the front lets in: by address, by password; null: all. */
  allow: string[] | null;
  users: string[] | null;
  /** Who closed the app for maintenance, or null. */
  maintenance: { by: string; since: string } | null;
  /** The newest run if it did not end well: its ID and error. */
  lastFailure: { id: string; error: string } | null;
}

/** Another server of the app. */
export interface OtherServer {
  server: string;
  live: string | null;
  /** Whether the same commit is live there; null: it did not answer. */
  isInLine: boolean | null;
  /** Why it did not answer. */
  error: string | null;
}

/** The detail of a process that was stopped by hand. */
export const BY_HAND = "by dp stop";

/** How long another server may take, in ms. */
const PATIENCE = 6_000;

/** The status of one app, with what is live on its other servers. */
export async function statusWithServers(name: string): Promise<Status> {
  const { app } = await knownApp(name);
  if (!hasServers(app.server)) return status(name);
  const { hello } = await import("../servers/ask.ts");
  const own = ownName(app.server);
  const others = Object.entries(app.server.servers).filter(([server]) => server !== own);
  const asked = Promise.all(others.map(([, address]) => hello(name, address, PATIENCE)));
  const [now, answers] = await Promise.all([status(name), asked]);
  const run = now.live === null ? null : await load(runFile(app, now.live)).catch(() => null);
  const servers = others.map(([server], at): OtherServer => {
    const there = answers[at]!;
    if (typeof there === "string") return { server, live: null, isInLine: null, error: there };
    return { server, live: there.live, isInLine: there.sha === (run?.facts["sha"] ?? null), error: null };
  });
  return { ...now, servers };
}

/** The status of one app. */
export async function status(name: string): Promise<Status> {
  const { app, mistake } = await knownApp(name);
  const { server, front } = app;
  const { live, damage: damaged } = await currentOf(app);
  const snapshot = await snapshotOf(app, live);
  const { made, moment, managers } = snapshot;
  // While the app answers its health check, the rest is read.
  const [route, now, instances, targets] = await Promise.all([
    front.status(name, true), // first: a front that answers 1,000 health checks has no time for it
    live === null || made === null ? NOTHING : liveStatus(snapshot, live, made),
    othersIn(snapshot, damaged !== null),
    targetsOrNone(app, live, moment),
  ]);
  return {
    app: name,
    url: urlOf(server),
    branch: server.branch,
    mistake,
    manager: managers.get(live ?? "") ?? server.manager,
    live,
    ...targets,
    firstDeploy: live === null && !damaged ? await firstDeploy(app) : null,
    damage: damaged && `${damaged.what}; ${hintOf(damaged)}`,
    ...now,
    ...instances,
    front: withoutHour(route),
    missingFront: front.holdsPort && route === null && needsFront(made) ? front.name : null,
    deploying: moment.held,
    lock: handLock(app),
    allow: server.allow ?? null,
    users: server.basicAuth ? Object.keys(server.basicAuth) : null,
    servers: [],
    maintenance: shortOf(maintenanceOf(app)),
    owed: await owedName(app),
    lastFailure: await lastFailure(snapshot),
  };
}

// Before its first deploy an app may have no route yet, and without a web process it has none.
const needsFront = (made: Snapshot["made"]) =>
  made !== null && !(made instanceof DpError) && made.config.healthCheck !== undefined;

function shortOf(maintenance: Maintenance | null): Status["maintenance"] {
  return maintenance && { by: maintenance.by, since: maintenance.since };
}

// The last hour is a matter of `dp report`: here it would be most of the answer.
function withoutHour(route: RouteStatus | null): Status["front"] {
  if (route === null) return null;
  const { minutes, pass, ...rest } = route;
  return rest;
}

// `dp doctor` reports a link that is something else.
async function targetsOrNone(app: App, live: string | null, moment: Moment): Promise<Targets> {
  try {
    return await targetsOf(app, live, moment);
  } catch (error) {
    if (error instanceof DpError) return { previous: null, rollbackTarget: null, settingsTarget: null };
    throw error;
  }
}

type Live = Pick<Status, "subject" | "by" | "deployedAt" | "process" | "others" | "isHealthy" | "health"> & {
  damage?: string;
};

const NOTHING: Live = {
  subject: null,
  by: null,
  deployedAt: null,
  process: null,
  others: {},
  isHealthy: null,
  health: null,
};

async function liveStatus(snapshot: Snapshot, live: string, made: Made | DpError): Promise<Live> {
  const { name } = snapshot.app;
  if (made instanceof DpError) {
    const damage = `${messageOf(made)}; dp deploy ${name} makes a new release`;
    return { ...NOTHING, process: await stateIn(snapshot, live), damage };
  }
  const { run, config } = made;
  const text = (which: "subject" | "by" | "startedAt") => factOf(run, which, fact[which]);
  const told = { subject: text("subject"), by: text("by"), deployedAt: text("startedAt") };
  const check = config.healthCheck;
  const [answer, process, others] = await Promise.all([
    check === undefined ? null : askPublic(snapshot.app, check),
    check === undefined ? null : toldState(snapshot, live),
    othersOf(snapshot, idsOfRelease(live, config, snapshot.app.server)),
  ]);
  if (answer !== null) return { ...told, process, others, isHealthy: answer.isHealthy, health: answer.text };
  const wanted = wantedIn(snapshot, live, config).filter((id) => !isWeb(id));
  const isHealthy = wanted.every((id) => others[processOf(id)]?.state === "running");
  return { ...told, process, others, isHealthy, health: null };
}

async function othersOf(snapshot: Snapshot, ids: readonly string[]): Promise<Live["others"]> {
  const others = ids.filter((id) => !isWeb(id));
  const states = others.map(async (id) => [processOf(id), await toldState(snapshot, id)] as const);
  return Object.fromEntries(await Promise.all(states));
}

/** The state of an instance; of one that was stopped by hand, that it was. */
async function toldState(snapshot: Snapshot, id: string): Promise<InstanceStatus> {
  const status = await stateIn(snapshot, id);
  return snapshot.stopped.has(id) ? { ...status, detail: BY_HAND } : status;
}

async function lastFailure({ app, live, made, moment }: Snapshot): Promise<Status["lastFailure"]> {
  // Most often the newest run made the live release, and was read for that.
  const isRead = made !== null && !(made instanceof DpError) && moment.ids.at(-1) === live;
  if (isRead && made.run.result?.state === "good") return null;
  const last = await newestRun(app, moment);
  if (!last || (last.state !== "failed" && last.state !== "unfinished")) return null;
  return { id: last.id, error: last.run.result?.error ?? `it was interrupted: dp resume ${app.name}` };
}

/**
 * The status of every app, or of those of `names`; the error of an app goes to `broken`, and the others are reported all
 * the same.
 */
export async function statusOfAll(broken: (error: unknown) => void, names?: readonly string[]): Promise<Status[]> {
  const told = await settleAll(names ?? (await appNames()), status);
  const wrong = told.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  // A missing right affects all apps: one report is enough.
  const refused = wrong.filter((error) => error instanceof Error && codeOf(error.cause) === "EACCES");
  for (const error of wrong) if (!refused.includes(error) || error === refused[0]) broken(error);
  return told.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
}
