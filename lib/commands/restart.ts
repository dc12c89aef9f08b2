// `dp restart`, and what follows a change of the settings: a new instance beside the old one, as in a deploy.
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { holder } from "../release/history.ts";
import { deadline, describeHolder, requirePatience } from "../deploy/queue.ts";
import { readServer } from "../config/server.ts";
import { beginRestart, type Brought } from "../deploy/begin.ts";
import { say } from "../text/say.ts";
import type { Answer } from "./deploy.ts";
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

/**
 * Waits until no deploy is under way: what is restarted must be what is live by then. Answers what is left of the
 * time, in ms; throws DpError "locked" when it is over.
 */
export async function quiet(app: string, wait?: number): Promise<number | undefined> {
  const begun = performance.now();
  const isOver = deadline(wait);
  for (let told = false; ; told = true) {
    const held = holder(app);
    if (held === null) return wait === undefined ? undefined : Math.max(0, begun + wait - performance.now());
    requirePatience(app, isOver);
    if (!told) say(`dp: waiting for ${describeHolder(held)}`);
    await Bun.sleep(100);
  }
}
