// One app in the relay: its route, its connections, and the in-flight counts of its releases.
import type { InFlight, Route, Target } from "../../contracts/front.ts";
import { knownName } from "../../host/passwd.ts";
import { guardOf } from "./guard.ts";
import { makeHour } from "./hour.ts";
import type { App } from "./types.ts";

/** The relay's apps, by name. */
export const apps = new Map<string, App>();

/** Not an app: it has the connections to the ports of the domains whose app is not known yet. */
export const gate: App = makeApp({
  app: "domains",
  listen: { host: "", port: 0 },
  protocol: "http",
  target: null,
  trustedProxies: [],
});

/** dp's own users that pass on what others ask: the relay, and HAProxy as a balancer. */
const PROXIES = ["dp-relay", "dp-haproxy"];
/** Whether what a local user runs was pushed: as the user of an app, with or without a route here, or of its builds. */
export function isAppUser(uid: number | null): boolean {
  if (uid === null) return false;
  if ([...apps.values()].some(({ route }) => route.uid === uid)) return true;
  const name = knownName(uid);
  return /^dpb?-/.test(name) && !PROXIES.includes(name);
}

/** An app without connections. */
export function makeApp(route: Route): App {
  return {
    route,
    listener: null,
    error: null,
    hold: null,
    waiting: new Set(),
    clients: new Set(),
    inFlight: new Map(),
    watchers: new Set(),
    requests: 0,
    failed: 0,
    hsts: hstsOf(route),
    guard: guardOf(route),
    hour: makeHour(performance.now()),
    pool: [],
  };
}

/** Gives an app another route, and what follows from it. */
export function setRouteOf(app: App, route: Route): void {
  app.route = route;
  app.hsts = hstsOf(route);
  app.guard = guardOf(route);
}

/** The line with which an app's answers over https bind browsers to it; null: none. */
function hstsOf({ tls }: Route): Buffer | null {
  return tls === undefined || tls.hsts === 0 ? null : Buffer.from(`Strict-Transport-Security: max-age=${tls.hsts}\r\n`);
}

/** The state of the whole relay that connections use. */
export const relay = {
  /** Client connections of all apps. */
  connections: 0,
  /** True after SIGTERM: answers get `Connection: close`. */
  isStopping: false,
};

/** Counts one more `kind` in flight on a release. */
export function enter(app: App, id: string, kind: keyof InFlight): void {
  const tally = app.inFlight.get(id);
  if (tally) tally[kind]++;
  else app.inFlight.set(id, { requests: 0, tunnels: 0, [kind]: 1 });
}

/** Counts one less. */
export function leave(app: App, id: string, kind: keyof InFlight): void {
  const tally = app.inFlight.get(id);
  if (!tally) return;
  tally[kind]--;
  if (tally.requests === 0 && tally.tunnels === 0 && app.route.target?.id !== id) app.inFlight.delete(id);
  for (const watcher of app.watchers) watcher(id);
}

/** The in-flight counts of a release. */
export const underWay = (app: App, id: string): InFlight => app.inFlight.get(id) ?? { requests: 0, tunnels: 0 };

/** Whether two targets are the same. */
export const isSame = (a: Target | null, b: Target | null): boolean =>
  a?.id === b?.id && a?.port === b?.port && a?.uid === b?.uid;
