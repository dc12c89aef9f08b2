// The routes of dp's HAProxy: the durable file from which its configuration is derived.
import { DpError, messageOf } from "../../errors.ts";
import type { Edge } from "../../config/tls.ts";
import { readText, writeFileAtomic } from "../../host/files.ts";
import type { Route, Target } from "../../contracts/front.ts";
import { filesOf } from "./places.ts";

/** How many releases of an app can have in-flight requests at once: one live, the others draining. */
export const SLOTS = 4;

/** A route as it is stored: every release that may still have requests has a slot, which is a server in HAProxy. */
export interface KeptRoute extends Omit<Route, "target"> {
  slots: (Target | null)[];
  /** The slot that receives the requests, or null. */
  live: number | null;
  /** Milliseconds that a request may wait while the app is held; null: it is not held. */
  held: number | null;
}

/** What is stored. */
export interface Kept {
  /** By app. */
  routes: ReadonlyMap<string, KeptRoute>;
  /** The ports of the domains; null: HAProxy does not listen for them. */
  edge: Edge | null;
}

/** What is stored. Throws DpError "host" when the file cannot be read. */
export async function readKept(): Promise<Kept> {
  const { routes } = filesOf();
  const text = await readText(routes);
  if (text === null) return { routes: new Map(), edge: null };
  try {
    // An older dp has stored no edge.
    const kept = JSON.parse(text) as { version: number; routes: KeptRoute[]; edge?: Edge | null };
    if (kept.version !== 1) throw new Error(`its version is ${kept.version}`);
    return { routes: new Map(kept.routes.map((route) => [route.app, route])), edge: kept.edge ?? null };
  } catch (cause) {
    throw new DpError("host", `${routes} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Writes it durably. */
export async function writeKept({ routes, edge }: Kept): Promise<void> {
  const path = filesOf().routes;
  const text = `${JSON.stringify({ version: 1, routes: [...routes.values()], edge }, null, 2)}\n`;
  if ((await readText(path)) !== text) await writeFileAtomic(path, text, 0o600);
}

/** With one route changed, or removed: null. */
export function changed({ routes, edge }: Kept, app: string, route: KeptRoute | null): Kept {
  const next = new Map(routes);
  if (route === null) next.delete(app);
  else next.set(app, route);
  return { routes: next, edge };
}

/** A route with new settings that keeps the releases of the previous one. */
export function routeFrom(wanted: Omit<Route, "target">, before: KeptRoute | undefined): KeptRoute {
  const { app, listen, protocol, trustedProxies, domains, tls } = wanted;
  const { slots, live, held } = before ?? { slots: Array<null>(SLOTS).fill(null), live: null, held: null };
  const route: KeptRoute = { app, listen, protocol, trustedProxies, slots, live, held };
  if (domains !== undefined) route.domains = domains;
  if (tls !== undefined) route.tls = tls;
  return route;
}

/**
 * The slot for a target: its own, otherwise an empty one, otherwise the one after the live slot, whose release is then
 * cut off.
 */
export function slotFor(route: KeptRoute, target: Target): number {
  const own = route.slots.findIndex((slot) => slot?.id === target.id);
  if (own !== -1) return own;
  const empty = route.slots.indexOf(null);
  return empty !== -1 ? empty : ((route.live ?? 0) + 1) % route.slots.length;
}

/** The route with `target` live; null: no release is live. */
export function pointed(route: KeptRoute, target: Target | null): KeptRoute {
  if (target === null) return { ...route, live: null };
  const live = slotFor(route, target);
  return { ...route, slots: route.slots.map((slot, at) => (at === live ? target : slot)), live };
}

/** The name of a slot's server. */
export const serverOf = (slot: number) => `s${slot + 1}`;
