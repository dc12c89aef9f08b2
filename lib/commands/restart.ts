// `dp restart`, and what follows a change of the settings: a new instance beside the old one, as in a deploy.
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { quiet, type Answer } from "../deploy/queue.ts";
import { readServer } from "../config/server.ts";
import { beginRestart, type Brought } from "../deploy/begin.ts";
import { launch, type Ended } from "../deploy/launch.ts";

/** Restarts the live release. Throws DpError "usage" when nothing is live, "locked" when somebody has locked the app. */
export async function restart(app: string, options: Answer = {}): Promise<Ended> {
  await readServer(app);
  requireUnlocked(app);
  const wait = await quiet(app, options.wait);
  return restartWith(app, "as asked", undefined, { ...options, wait });
}

/** Restarts the live release, with new settings or today's; `reason` is shown and kept, and holds no secret. */
export async function restartWith(
  app: string,
  reason: string,
  brought: Brought | undefined,
  options: Answer,
): Promise<Ended> {
  const { id } = await beginRestart(app, reason, brought);
  return launch(app, id, { json: options.json, wait: options.wait });
}
