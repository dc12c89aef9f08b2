// The public port of an app whose config.yml has changed: the front moves to it at once, where no request is lost by that.
import { lockNow } from "../deploy/queue.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { front, manager } from "../registry.ts";
import { requireFreePort } from "../release/instances.ts";
import { routeOf } from "../release/route.ts";
import type { ServerConfig } from "../config/types.ts";
import type { Change } from "./server-config.ts";

/** What the front holds for the app now; null: nothing, or config.yml had named another front than it does now. */
async function routeNow(app: string, before: ServerConfig | undefined, after: ServerConfig) {
  return before === undefined || before.front === after.front ? (await front(after.front)).status(app) : null;
}

/**
 * Throws DpError "host" when the port that was asked for is another program's, where no front finds that out now: when
 * the app itself listens there, or the front is to change at the next deploy.
 */
export async function requireFree(app: string, before: ServerConfig | undefined, after: ServerConfig): Promise<void> {
  if (before?.port === after.port) return;
  const isFrontToFind = (await front(after.front)).holdsPort && (!before || (await routeNow(app, before, after)));
  if (!isFrontToFind) await requireFreePort(app, after.port, await manager(after.manager));
}

/** What the front of a live app did: its changes, or why it has to wait. */
type Moved = { changes: string[]; later: null } | { changes: []; later: string };

/** Tells the front of a live app the new address. Throws DpError "host" when it cannot be had; then the old one is held on. */
export async function moveRoute(app: string, before: ServerConfig, after: ServerConfig, io: Io): Promise<Moved> {
  const route = await routeNow(app, before, after);
  if (route === null) return { changes: [], later: `the next deploy uses it, or now: dp restart ${app}` };
  if (route.listen.port === after.port && route.listen.host === after.host) return { changes: [], later: null };
  try {
    // A deploy that runs has read config.yml before, and would move it back.
    const lock = await lockNow(app, `dp setup ${app}`);
    try {
      return { changes: await (await front(after.front)).setup(await routeOf(app, after), io), later: null };
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "locked") throw error;
    return { changes: [], later: `${error.message}; when it has ended: dp restart ${app}` };
  }
}

/** Whether a key of config.yml says where the app answers. */
export const isOfRoute = (key: string) => key === "port" || key === "host";

/** A sentence for each changed key; `later`: what uses the port and its address, null when it is in use. */
export function changeLines(app: string, changes: readonly Change[], isLive: boolean, later: string | null): string[] {
  return changes.map(({ key, value, was }) => {
    const next = `the next deploy uses it, or now: dp restart ${app}`;
    const when = !isLive || key === "branch" ? null : isOfRoute(key) ? later : next;
    return `${key} is ${value} now, it was ${was ?? "not set"}${when === null ? "" : `; ${when}`}`;
  });
}
