// `dp restart`, and the restart after a change of settings: a new instance beside the old one, as in a deploy.
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { quiet, type Answer } from "../deploy/queue.ts";
import { openApp } from "../release/app.ts";
import { beginRestart, type Brought } from "../deploy/begin.ts";
import { launch, type Ended, type LaunchOptions } from "../deploy/launch.ts";

export interface RestartOptions extends Answer {
  /** The servers that are left out on purpose. */
  without?: readonly string[];
}

/** Restarts the live release. Throws DpError "usage" when nothing is live, "locked" when somebody has locked the app. */
export async function restart(name: string, options: RestartOptions = {}): Promise<Ended> {
  const app = await openApp(name);
  requireUnlocked(app);
  const wait = await quiet(app, options.wait);
  return restartWith(name, "as asked", undefined, { ...options, wait, leaves: true });
}

/**
 * Restarts the live release, with new settings or the current ones; `reason` is shown and kept, and must contain no
 * secret. The app is opened again, because config.yml may have changed while this command waited.
 */
export async function restartWith(
  name: string,
  reason: string,
  brought: Brought | undefined,
  options: RestartOptions & Pick<LaunchOptions, "leaves">,
): Promise<Ended> {
  const app = await openApp(name);
  const { id } = await beginRestart(app, reason, brought, { without: options.without ?? [] });
  return launch(app, id, { json: options.json, wait: options.wait, leaves: options.leaves });
}
