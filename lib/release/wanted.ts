// Which instances of an app shall run, and which run besides.
import type { ServerConfig } from "../config.ts";
import { isInHand } from "../cron/job.ts";
import { DpError } from "../errors.ts";
import type { Manager } from "../manager.ts";
import { isJob, releaseOf } from "../paths.ts";
import { factsOfRelease } from "./instance.ts";
import { wantedIds } from "./processes.ts";
import { warmIds } from "./warm.ts";

/** What shall run of the live release; all that does when its run file is damaged. */
export async function wantedOf(
  app: string,
  live: string | null,
  server: ServerConfig,
  managed: Manager,
): Promise<string[]> {
  if (live === null) return [];
  try {
    return await wantedIds(app, live, (await factsOfRelease(app, live, server)).config, server);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return (await managed.instances(app)).filter((id) => releaseOf(id) === live);
  }
}

/** The instances of an app that neither shall run, nor stay warm, nor are jobs under way. */
export async function straysOf(
  app: string,
  live: string | null,
  wanted: readonly string[],
  managed: Manager,
): Promise<string[]> {
  const warm = (await warmIds(app)).filter((id) => id !== live);
  const strays: string[] = [];
  for (const id of await managed.instances(app)) {
    if (wanted.includes(id) || warm.includes(id)) continue;
    // A job ends in the release that it began in.
    if (isJob(id) && (isInHand({ app, id }) || (await managed.status({ app, id })).state === "running")) continue;
    strays.push(id);
  }
  return strays;
}
