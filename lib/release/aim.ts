// What an app should be: its live release, and which of that one's instances should run.
import type { App } from "../contracts/app.ts";
import { requireCurrent } from "./current.ts";
import { factsOfRelease, type InstanceFacts } from "./instance.ts";
import { wantedIds } from "./processes.ts";

/** What an app should be. */
export interface Aim {
  live: string | null;
  /** Null: there is no live release. */
  facts: InstanceFacts | null;
  /** The instances that should run. */
  wanted: readonly string[];
}

/** What `current` and the live release's record say. Throws DpError "host" when `current` is damaged. */
export async function aimOf(app: App): Promise<Aim> {
  await requireCurrent(app);
  const live = await app.live();
  const facts = live === null ? null : await factsOfRelease(app, live);
  return { live, facts, wanted: live && facts ? await wantedIds(app, live, facts.config) : [] };
}
