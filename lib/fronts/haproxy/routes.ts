// The routes of dp's HAProxy: the durable file from which its configuration is derived.
import { DpError, messageOf } from "../../errors.ts";
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

/** The stored routes, by app. Throws DpError "host" when the file cannot be read. */
export async function readRoutes(): Promise<Map<string, KeptRoute>> {
  const { routes } = filesOf();
  const text = await readText(routes);
  if (text === null) return new Map();
  try {
    const kept = JSON.parse(text) as { version: number; routes: KeptRoute[] };
    if (kept.version !== 1) throw new Error(`its version is ${kept.version}`);
    return new Map(kept.routes.map((route) => [route.app, route]));
  } catch (cause) {
    throw new DpError("host", `${routes} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Writes the routes durably. */
export async function writeRoutes(routes: ReadonlyMap<string, KeptRoute>): Promise<void> {
  const text = JSON.stringify({ version: 1, routes: [...routes.values()] }, null, 2);
  await writeFileAtomic(filesOf().routes, `${text}\n`, 0o600);
}

/** A route with new settings that keeps the releases of the previous one. */
export function routeFrom(wanted: Omit<Route, "target">, before: KeptRoute | undefined): KeptRoute {
  const { app, listen, protocol, trustedProxies } = wanted;
  const known = before ?? { slots: Array<null>(SLOTS).fill(null), live: null, held: null };
  return { app, listen, protocol, trustedProxies, slots: known.slots, live: known.live, held: known.held };
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
