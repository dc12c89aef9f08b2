// The operations on routes: each change is durable before it is answered, and all but a switch before it takes effect.
import { DpError } from "../../errors.ts";
import type { Edge } from "../../config/tls.ts";
import type {
  Drained,
  EdgeStatus,
  Maintenance,
  Route,
  RouteChange,
  RouteStatus,
  Target,
} from "../../contracts/front.ts";
import { apps, isSame, makeApp, setRouteOf } from "./app.ts";
import { ACTIVE, IDLE } from "./client-connection.ts";
import { edge, hasDomains, refuseTaken, renewDomains } from "./domains.ts";
import { closeEdge, edgeStatus, openEdge } from "./edge.ts";
import { drainRelease } from "./drain.ts";
import { assignAgain } from "./exchange.ts";
import { digestOf } from "./guarded.ts";
import { abort, leaveUpstream, linger } from "./ending.ts";
import { countHour } from "./hour.ts";
import { move, unlisten } from "./listening.ts";
import { log } from "./log.ts";
import { emptyPool, trimPool } from "./pool.ts";
import { originOf } from "./rewrite.ts";
import { saveState } from "./state.ts";
import type { App } from "./types.ts";

/** Saves the routes as they will be: `name` changed to `route`, or removed; without a name, as they are. */
async function save(folder: string, name: string | null, route: Route | null): Promise<void> {
  const others = [...apps.values()].map((app) => app.route).filter((other) => other.app !== name);
  const routes = route === null ? others : [...others, route];
  const kept = routes.some(({ domains }) => domains?.length) ? edge.settings : null;
  await saveState(folder, { routes: routes.toSorted((a, b) => (a.app < b.app ? -1 : 1)), edge: kept });
}

/**
 * Takes over the domains after a change of routes, and closes their ports with the last one. Not before the first: its
 * app follows, and others may change meanwhile.
 */
function tellDomains(): void {
  const had = hasDomains();
  renewDomains();
  if (had && !hasDomains()) closeEdge();
}

function appOf(name: string): App {
  const app = apps.get(name);
  if (app === undefined) throw new DpError("host", `the relay has no app ${name}`, { hint: `dp setup ${name}` });
  return app;
}

/** Listens on the ports of the domains; returns which of them cannot be had. */
export async function secureRoutes(folder: string, settings: Edge): Promise<EdgeStatus | null> {
  await openEdge(settings);
  await save(folder, null, null);
  return edgeStatus();
}

/** Makes or changes a route. */
export async function setRoute(folder: string, change: RouteChange): Promise<void> {
  const old = apps.get(change.app);
  const route: Route = { ...change, target: change.target === undefined ? (old?.route.target ?? null) : change.target };
  if (old && isSame(old.route.target, route.target)) route.target = old.route.target;
  if (old) keepMaintenance(route, old.route.maintenance);
  refuseTaken(route);
  const app = old ?? makeApp(route);
  const { host, port } = route.listen;
  const isThere = app.listener !== null && app.route.listen.host === host && app.route.listen.port === port;
  // The socket is bound first: a route whose port cannot be bound must not be saved.
  const moved = isThere ? null : move(app, route);
  try {
    await save(folder, route.app, route);
  } catch (error) {
    moved?.cancel();
    throw error;
  }
  setRouteOf(app, route);
  apps.set(route.app, app);
  tellDomains();
  // A proxy keeps its connections open: its new rights must apply to them as well.
  for (const client of app.clients) {
    const { address, uid, proto, holder } = client.origin;
    client.origin = originOf(address, route.trustedProxies, uid, proto, holder);
  }
  leaveOthers(app);
  await moved?.commit();
}

/** A change of the route is no order about maintenance. */
function keepMaintenance(route: Route, maintenance: Maintenance | undefined): void {
  if (maintenance === undefined) delete route.maintenance;
  else route.maintenance = maintenance;
}

/** Begins or ends an app's maintenance: it counts for every head that is read after this returns. */
export async function maintainRoute(
  folder: string,
  name: string,
  maintenance: Maintenance | null,
  pass: string,
): Promise<void> {
  const app = appOf(name);
  const route: Route = { ...app.route, pass };
  keepMaintenance(route, maintenance ?? undefined);
  await save(folder, name, route);
  setRouteOf(app, route);
  log(`${name}: ${maintenance === null ? "serves again" : "is in maintenance"}`);
}

/** Closes idle connections to releases other than the target: those releases may be stopped soon. */
function leaveOthers(app: App): void {
  for (const client of app.clients) {
    const isOther = client.upstream !== null && (client.upstream.target !== app.route.target || app.hold !== null);
    if (client.phase === IDLE && isOther) leaveUpstream(client, false);
  }
  trimPool(app);
}

/** Points an app at a release: every head that is read after this returns goes there. */
export async function pointRoute(folder: string, name: string, target: Target | null): Promise<void> {
  const app = appOf(name);
  const before = app.route.target;
  const isThere = isSame(before, target);
  // Clients do not wait for the disk; whoever asked for the switch does.
  app.route = { ...app.route, target: isThere ? before : target };
  leaveOthers(app);
  // After a reboot most apps have their port again: none of them waits for the disk.
  if (!isThere) await savePointed(folder, app, before);
  if (before !== null && before.id !== target?.id && isIdle(app, before.id)) app.inFlight.delete(before.id);
  log(`${name}: ${target === null ? "points nowhere" : `points at ${target.id} on port ${target.port}`}`);
}

/** Saves the routes with an app's new target; when that fails, its clients are back at the target before. */
async function savePointed(folder: string, app: App, before: Target | null): Promise<void> {
  try {
    await save(folder, app.route.app, app.route);
  } catch (error) {
    app.route = { ...app.route, target: before };
    leaveOthers(app);
    throw error;
  }
}

const isIdle = (app: App, id: string) => {
  const tally = app.inFlight.get(id);
  return tally?.requests === 0 && tally.tunnels === 0;
};

/** Holds an app's requests, each at most `limit` ms. */
export function holdApp(name: string, limit: number): void {
  const app = appOf(name);
  app.hold = limit;
  leaveOthers(app);
  log(`${name}: held`);
}

/** Sends the held requests on, in the order in which they arrived. */
export function resumeApp(name: string): void {
  const app = appOf(name);
  app.hold = null;
  const { size } = app.waiting;
  for (const client of [...app.waiting]) assignAgain(client);
  log(`${name}: resumed, ${size} requests had waited`);
}

/** Waits until nothing is in flight on a release. */
export async function drainApp(name: string, id: string, timeout: number): Promise<Drained> {
  const app = appOf(name);
  if (app.route.target?.id === id && app.hold === null)
    throw new DpError("host", `${name}: ${id} takes requests, so it cannot be drained`, {
      hint: "point the app at another release, or hold it, first",
    });
  const drained = await drainRelease(app, id, timeout);
  log(`${name}: drained ${id}; cut ${drained.requests} requests, closed ${drained.tunnelsClosed} tunnels`);
  return drained;
}

/** Removes an app: frees its port, closes idle connections, and lets in-flight requests finish. */
export async function removeRoute(folder: string, name: string): Promise<void> {
  const app = apps.get(name);
  if (app === undefined) return;
  await save(folder, name, null);
  unlisten(app, true);
  for (const client of [...app.clients]) {
    client.willClose = true;
    if (app.waiting.has(client)) abort(client);
    else if (client.phase !== ACTIVE) linger(client);
  }
  apps.delete(name);
  emptyPool(app);
  tellDomains();
  log(`${name}: removed`);
}

/** The status of the apps of these names, or of all, by name; with `isBrief` without the minutes. */
export const statusOf = (names: readonly string[] = [...apps.keys()], isBrief = false): RouteStatus[] =>
  [...new Set(names)]
    .flatMap((name) => apps.get(name) ?? [])
    .map((app) => routeStatus(app, isBrief))
    .toSorted((a, b) => (a.app < b.app ? -1 : 1));

function routeStatus(app: App, isBrief: boolean): RouteStatus {
  countHour(app.hour, app, performance.now());
  const { maintenance, allow, basicAuth, ...route } = app.route;
  const guarded = digestOf(app.route);
  return {
    ...route,
    ...(guarded !== undefined && { guarded }),
    ...(maintenance && { maintenance: { since: maintenance.since } }),
    isListening: app.listener !== null,
    error: app.error,
    isHeld: app.hold !== null,
    waiting: app.waiting.size,
    connections: app.clients.size,
    inFlight: Object.fromEntries([...app.inFlight].filter(([, { requests, tunnels }]) => requests + tunnels > 0)),
    requests: app.requests,
    failed: app.failed,
    minutes: isBrief ? null : app.hour.minutes,
  };
}
