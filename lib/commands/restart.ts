// `dp restart`, and what follows a change of the settings: a new instance beside the old one, as in a deploy.
import { holder } from "../release/history.ts";
import { describeHolder } from "../release/queue.ts";
import { readServer } from "../server.ts";
import { beginRestart, type Brought } from "./begin.ts";
import type { Answer } from "./deploy.ts";
import { launch, type Ended } from "./launch.ts";

/** Restarts the live release. Throws DpError "usage" when nothing is live. */
export async function restart(app: string, options: Answer = {}): Promise<Ended> {
  await readServer(app);
  await quiet(app);
  return restartWith(app, "as asked", undefined, options);
}

/** Restarts the live release, with new settings or today's; `reason` is shown and kept, and holds no secret. */
export async function restartWith(
  app: string,
  reason: string,
  brought: Brought | undefined,
  options: Answer,
): Promise<Ended> {
  const { id } = await beginRestart(app, reason, brought);
  return launch(app, id, options);
}

/** Waits until no deploy is under way: what is restarted must be what is live by then. */
export async function quiet(app: string): Promise<void> {
  for (let told = false; ; told = true) {
    const held = holder(app);
    if (held === null) return;
    if (!told) console.error(`dp: waiting for ${describeHolder(held)}`);
    await Bun.sleep(100);
  }
}
