// The public port of an app whose config.yml has changed: the front moves to it at once, where no request is lost by that.
import type { App } from "../contracts/app.ts";
import { lockNow } from "../deploy/queue.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { requireFreePort } from "../release/instances.ts";
import { routeOf } from "../release/route.ts";
import type { Change } from "./server-config.ts";

/** What the front holds for the app now; null: nothing, or config.yml had named another front than it does now. */
async function routeNow(before: App | undefined, { name, front }: App) {
  return before === undefined || before.front === front ? front.status(name) : null;
}

/**
 * Throws DpError "host" when the port that was asked for is another program's, where no front finds that out now: when
 * the app itself listens there, or the front is to change at the next deploy.
 */
export async function requireFree(before: App | undefined, after: App): Promise<void> {
  const { port } = after.server;
  if (before?.server.port === port) return;
  const isFrontToFind = after.front.holdsPort && (!before || (await routeNow(before, after)));
  if (!isFrontToFind) await requireFreePort(after, port);
}

/** What the front of a live app did: its changes, or why it has to wait. */
type Moved = { changes: string[]; later: null } | { changes: []; later: string };

/** Tells the front of a live app the new address. Throws DpError "host" when it cannot be had; then the old one is held on. */
export async function moveRoute(before: App, after: App, io: Io): Promise<Moved> {
  const { name, server, front } = after;
  const route = await routeNow(before, after);
  if (route === null) return { changes: [], later: `the next deploy uses it, or now: dp restart ${name}` };
  if (route.listen.port === server.port && route.listen.host === server.host) return { changes: [], later: null };
  try {
    // A deploy that runs has read config.yml before, and would move it back.
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

/** Whether a key of config.yml says where the app answers. */
export const isOfRoute = (key: string) => key === "port" || key === "host";

/** A sentence for each changed key; `later`: what uses the port and its address, null when it is in use. */
export function changeLines(app: string, changes: readonly Change[], isLive: boolean, later: string | null): string[] {
  return changes.map(({ key, value, was }) => {
    const next = `the next deploy uses it, or now: dp restart ${app}`;
    const when = !isLive || key === "branch" ? null : isOfRoute(key) ? later : next;
    return `${key} is now ${value}, it was ${was ?? "not set"}${when === null ? "" : `; ${when}`}`;
  });
}
