// Which instances should run, and which run that should not.
import { isInProgress } from "./job.ts";
import { DpError } from "../errors.ts";
import type { App } from "../contracts/app.ts";
import { isJob, processOf, releaseOf } from "../text/ids.ts";
import { currentOf } from "./current.ts";
import { configOf } from "./history.ts";
import { factsOfRelease } from "./instance.ts";
import { hasWeb, idsOfRelease, stoppedIds, wantedIds } from "./processes.ts";

/** The instances of the live release that should run; all that do run when its run file is damaged. */
export async function wantedOf(app: App, live: string | null): Promise<string[]> {
  if (live === null) return [];
  try {
    return await wantedIds(app, live, await configOf(app, live));
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return (await app.manager.instances(app.name)).filter((id) => releaseOf(id) === live);
  }
}

/**
 * The processes of the live release that were stopped by hand, and whether those are all; none when its run file is
 * damaged.
 */
export async function stoppedByHand(app: App, live: string | null): Promise<{ processes: string[]; isAll: boolean }> {
  const none = { processes: [], isAll: false };
  const stopped = await stoppedIds(app);
  if (live === null || stopped.size === 0) return none;
  try {
    const all = idsOfRelease(live, (await factsOfRelease(app, live)).config, app.server);
    const processes = all.filter((id) => stopped.has(id)).map(processOf);
    return { processes, isAll: processes.length === all.length };
  } catch (error) {
    if (error instanceof DpError) return none;
    throw error;
  }
}

/** The live release when its web process should run, or null; undefined: it has no web process. */
export async function liveWeb(app: App): Promise<string | null | undefined> {
  const { live } = await currentOf(app);
  if (live === null) return null;
  try {
    const { config } = await factsOfRelease(app, live);
    if (!hasWeb(config)) return undefined;
    return (await wantedIds(app, live, config)).includes(live) ? live : null;
  } catch (error) {
    if (error instanceof DpError) return null; // dp doctor reports the damaged record
    throw error;
  }
}

/** The instances of an app that run, and those among them that may. */
export interface Running {
  live: string | null;
  wanted: readonly string[];
  instances: readonly string[];
  warm: readonly string[];
}

/** Those of an app's instances that should neither run, nor stay warm, and are not jobs in progress. */
export async function straysOf(app: App, { live, wanted, instances, warm }: Running): Promise<string[]> {
  const { name, manager } = app;
  const strays: string[] = [];
  for (const id of instances) {
    if (wanted.includes(id) || (id !== live && warm.includes(id))) continue;
    // A job ends in the release in which it began.
    const isUnderWay = async () => (await manager.status({ app: name, id })).state === "running";
    if (isJob(id) && (isInProgress(app, id) || (await isUnderWay()))) continue;
    strays.push(id);
  }
  return strays;
}
