// A change of config.yml that the front obeys at once: the old file comes back when it cannot.
import { parseServerConfig } from "../config/config.ts";
import { serverKinds } from "../config/kinds.ts";
import type { ServerConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { lockNow } from "../deploy/queue.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { openApp, withServer } from "../release/app.ts";
import { routeOf } from "../release/route.ts";

/** The changed text of config.yml, from its text, its path, and what it said before. */
export type Edit = (text: string, file: string, before: ServerConfig) => string;

/**
 * Changes config.yml and has it applied; answers the app as it is then. Throws DpError "locked" during a deploy or under a
 * lock, "config" for a text that is no valid config.yml.
 */
export async function changeConfig(
  name: string,
  command: string,
  edit: Edit,
  apply: (app: App) => Promise<void>,
  io: Io,
): Promise<App> {
  const app = await openApp(name);
  requireUnlocked(app);
  const lock = await lockNow(app, command);
  try {
    const { config } = app.places;
    const text = (await readText(config)) ?? "";
    const changed = edit(text, config, (await openApp(name)).server);
    const after = await withServer(app, parseServerConfig(changed, config, await serverKinds()));
    if (changed !== text) await writeFileAtomic(config, changed, 0o600);
    try {
      await apply(after);
    } catch (error) {
      await writeFileAtomic(config, text, 0o600);
      await app.front.setup(await routeOf(await openApp(name)), io);
      throw error;
    }
    return after;
  } finally {
    lock.release();
  }
}
