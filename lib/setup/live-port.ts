// The public port of an app after a change of config.yml: the front moves to it at once, if that loses no request.
import type { App } from "../contracts/app.ts";
import { lockNow } from "../deploy/queue.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { requireFreePort } from "../release/instances.ts";
import { routeOf } from "../release/route.ts";
import type { Change } from "./server-config.ts";

/** The front's current route for the app; null: none, or config.yml had named another front. */
async function routeNow(before: App | undefined, { name, front }: App) {
  return before === undefined || before.front.name === front.name ? front.status(name) : null;
}

/**
 * Throws DpError "host" when another program has the new port and no front would notice that now: when the app itself
 * listens there, or the front changes only at the next deploy.
 */
export async function requireFree(before: App | undefined, after: App): Promise<void> {
  const { port } = after.server;
  if (before?.server.port === port) return;
  const isFrontToFind = after.front.holdsPort && (!before || (await routeNow(before, after)));
  if (!isFrontToFind) await requireFreePort(after, port);
}

/** The changes of a live app's front, or the reason why they have to wait. */
type Moved = { changes: string[]; later: null } | { changes: []; later: string };

/**
 * Gives the front of a live app its new address. Throws DpError "host" when that is not available; the front then keeps
 * the old one.
 */
export async function moveRoute(before: App, after: App, io: Io): Promise<Moved> {
  const { name, server, front } = after;
  const route = await routeNow(before, after);
  if (route === null) return { changes: [], later: `the next deploy uses it, or now: dp restart ${name}` };
  if (route.listen.port === server.port && route.listen.host === server.host) return { changes: [], later: null };
  try {
    // A running deploy has read config.yml already, and would move the route back.
    const lock = await lockNow(after, `dp setup ${name}`);
    try {
      return { changes: await front.setup(await routeOf(after), io), later: null };
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "locked") throw error;
    return { changes: [], later: `${error.message}; when it has ended: dp restart ${name}` };
  }
}

/** Whether a key of config.yml is part of the app's address. */
export const isOfRoute = (key: string) => key === "port" || key === "host";

/** A sentence for each changed key; `later`: when the port and address take effect, null when they have. */
export function changeLines(app: string, changes: readonly Change[], isLive: boolean, later: string | null): string[] {
  return changes.map(({ key, value, was }) => {
    const next = `the next deploy uses it, or now: dp restart ${app}`;
    const when = !isLive || key === "branch" ? null : isOfRoute(key) ? later : next;
    return `${key} is now ${value}, it was ${was ?? "not set"}${when === null ? "" : `; ${when}`}`;
  });
}
