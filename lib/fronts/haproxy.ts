// HAProxy as the front: Debian's program, switched through its runtime API, never by a reload.
import { existsSync } from "node:fs";
import { DpError } from "../errors.ts";
import type { Drained, Front, MakeWay, Route, RouteStatus, Target } from "../contracts/front.ts";
import { readBalancers } from "./haproxy/balancers.ts";
import { copyPairs, removeOthers, withNewPair } from "./haproxy/certificates.ts";
import { locked, requireFree, unavailable } from "./haproxy/change.ts";
import { countsOf } from "./haproxy/counts.ts";
import { namesOf, refuseTaken } from "./haproxy/domains.ts";
import { drainSlot } from "./haproxy/drain.ts";
import { edgeFor, edgeStatus, untilFree } from "./haproxy/edge.ts";
import { filesOf } from "./haproxy/places.ts";
import { driftFrom, keep, keepDomains, load, makeUser, needsLoad, stop } from "./haproxy/process.ts";
import { changed, pointed, readKept, routeFrom, serverOf, type Kept, type KeptRoute } from "./haproxy/routes.ts";
import { notRunning, processes, tellAll } from "./haproxy/runtime.ts";
import type { Io } from "../host/io.ts";

function known({ routes }: Kept, app: string): KeptRoute {
  const route = routes.get(app);
  if (route) return route;
  throw new DpError("host", `HAProxy has no route for ${app}`, { hint: `dp setup ${app}` });
}

async function setup(wanted: Omit<Route, "target">, io: Io, makeWay?: MakeWay): Promise<string[]> {
  await makeWay?.((await readKept()).routes.has(wanted.app));
  return hold(wanted, io);
}

/** Holds the port of an app. */
const hold = (wanted: Omit<Route, "target">, io: Io): Promise<string[]> =>
  locked(async (kept) => {
    const { app, listen } = wanted;
    const before = kept.routes.get(app);
    const route = routeFrom(wanted, before);
    refuseTaken(kept, route);
    const { routes, edge: had } = changed(kept, app, route);
    const changes = await makeUser(io);
    const edge = await edgeFor({ routes, edge: had }, io);
    const next = { routes, edge };
    await copyPairs(next, io);
    const isMoved = before?.listen.host !== listen.host || before.listen.port !== listen.port;
    if (await needsLoad(next)) {
      if (isMoved) await requireFree(listen.port, `give the app another port: dp setup ${app} --port N`);
      changes.push(...(await load(next, kept, io)));
    }
    await keepDomains(next);
    await removeOthers(next);
    if (isMoved) changes.push(`HAProxy holds ${listen.host}:${listen.port} for ${app}`);
    if (edge !== null && had === null)
      changes.push(`HAProxy holds ports ${edge.http.port} and ${edge.https.port} for the domains`);
    return changes;
  });

/** Takes the certificate of a name into use, for new connections; open ones stay. */
const certify = (name: string): Promise<void> =>
  locked(async (kept) => {
    const { edge } = kept;
    if (edge === null || !namesOf(kept).includes(name)) throw new DpError("host", `HAProxy has no domain ${name}`);
    try {
      await withNewPair(edge, name, () => keepDomains(kept));
    } catch (error) {
      // The files must name no copy that is gone again.
      await keep(kept);
      throw error;
    }
  });

/**
 * The commands that take HAProxy from one state of a route's slots to the next: the new server is ready before the old
 * one is not.
 */
function commands({ app, slots, live }: KeptRoute, before: KeptRoute): string[] {
  const server = (slot: number) => `set server dp-${app}/${serverOf(slot)}`;
  const target = live === null ? null : slots[live]!;
  const ready =
    live === null || target === null
      ? []
      : [`${server(live)} addr 127.0.0.1 port ${target.port}`, `${server(live)} state ready`];
  // A release that was never drained loses its slot, and its connections are cut off.
  const old = live === null ? null : before.slots[live];
  const isTaken = old !== null && old !== undefined && old.id !== target?.id;
  const cut = isTaken ? [`shutdown sessions server dp-${app}/${serverOf(live!)}`] : [];
  const others = slots.flatMap((_, slot) => (slot === live ? [] : [`${server(slot)} state maint`]));
  return [...cut, ...ready, ...others];
}

const point = (app: string, target: Target | null): Promise<void> =>
  locked(async (kept) => {
    const before = known(kept, app);
    const after = pointed(before, target);
    // The file that a restart reads comes first: a crash now leaves both releases running, a later one perhaps only the
    // new one.
    await keep(changed(kept, app, after));
    for (const [worker, answer] of await tellAll(commands(after, before))) {
      if (worker.isCurrent && /No such (backend|server)/i.test(answer))
        throw new DpError("host", `HAProxy runs without ${app}`, { hint: "dp reconcile" });
    }
  });

/** Holds the app (`limit` in ms), or resumes it (null). */
const setHold = (app: string, limit: number | null): Promise<void> =>
  locked(async (kept) => {
    const route = known(kept, app);
    if (limit === null && route.held === null) return;
    await keep(changed(kept, app, { ...route, held: limit === null ? null : Math.ceil(limit) }));
    const held = `set server dp-held/${app} state`;
    await tellAll(
      limit === null ? [`${held} maint`, `dp hold ${app} 0`] : [`dp hold ${app} ${Math.ceil(limit)}`, `${held} ready`],
    );
  });

async function drain(app: string, id: string, timeout: number, io: Io): Promise<Drained> {
  const route = (await readKept()).routes.get(app);
  const slot = route?.slots.findIndex((release) => release?.id === id) ?? -1;
  if (!route || slot === -1) return { requests: 0, tunnelsClosed: 0 };
  if ((await processes()) === null) throw notRunning();
  const drained = await drainSlot(route, slot, timeout, io);
  await locked(async (kept) => {
    const now = kept.routes.get(app);
    if (!now || now.live === slot || now.slots[slot]?.id !== id) return;
    const slots = now.slots.map((release, at) => (at === slot ? null : release));
    await keep(changed(kept, app, { ...now, slots }));
  });
  return drained;
}

const NOTHING = { isListening: false, waiting: 0, connections: 0, inFlight: {}, requests: 0, failed: 0 };

async function status(app: string): Promise<RouteStatus | null> {
  const route = (await readKept()).routes.get(app);
  if (!route) return null;
  const { listen, protocol, trustedProxies, live, slots, held } = route;
  const isRunning = (await processes()) !== null;
  const counts = isRunning ? await countsOf(route) : NOTHING;
  const error = counts.isListening ? null : isRunning ? "HAProxy runs without this app" : "HAProxy does not run";
  const target = live === null ? null : slots[live]!;
  return { app, listen, protocol, trustedProxies, target, error, isHeld: held !== null, minutes: null, ...counts };
}

async function remove(app: string, io: Io): Promise<void> {
  // Whoever changes HAProxy meanwhile is not waited for without need.
  if (!existsSync(filesOf().routes) || !(await readKept()).routes.has(app)) return;
  await locked(async (kept) => {
    if (!kept.routes.has(app)) return;
    const rest = changed(kept, app, null);
    const next: Kept = namesOf(rest).length > 0 ? rest : { routes: rest.routes, edge: null };
    if (next.routes.size > 0 || (await readBalancers()).size > 0) {
      await load(next, kept, io);
      await keepDomains(next);
    } else {
      await stop(io);
      await keep(next);
    }
    await removeOthers(next);
    if (kept.edge !== null && next.edge === null) await untilFree(kept.edge, io);
  });
}

const haproxy: Front = {
  name: "haproxy",
  summary: "HAProxy, switched by its runtime API",
  holdsPort: true,
  unavailable,
  setup,
  point,
  drain,
  status,
  remove,
  drift: async () => driftFrom(await readKept()),
  hold: (app, limit) => setHold(app, limit),
  resume: (app) => setHold(app, null),
  certify,
  edge: async () => edgeStatus(await readKept()),
};

export default haproxy;
