// Which instances of an app shall run, and which run besides.
import { isInHand } from "./job.ts";
import { DpError } from "../errors.ts";
import type { App } from "../contracts/app.ts";
import { isJob, processOf, releaseOf } from "../paths.ts";
import { damageOf } from "./current.ts";
import { factsOfRelease } from "./instance.ts";
import { hasWeb, idsOfRelease, stoppedIds, wantedIds } from "./processes.ts";
import { warmIds } from "./warm.ts";

/** What shall run of the live release; all that does when its run file is damaged. */
export async function wantedOf(app: App, live: string | null): Promise<string[]> {
  if (live === null) return [];
  try {
    return await wantedIds(app, live, (await factsOfRelease(app, live)).config);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return (await app.manager.instances(app.name)).filter((id) => releaseOf(id) === live);
  }
}

/** The processes of the live release that were stopped by hand, and whether those are all; none when its run file is damaged. */
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

/** The live release when its web process shall run, or null; undefined: it has none. */
export async function liveWeb(app: App): Promise<string | null | undefined> {
  const live = (await damageOf(app)) ? null : await app.live();
  if (live === null) return null;
  try {
    const { config } = await factsOfRelease(app, live);
    if (!hasWeb(config)) return undefined;
    return (await wantedIds(app, live, config)).includes(live) ? live : null;
  } catch (error) {
    if (error instanceof DpError) return null; // its record is damaged, which dp doctor finds by itself
    throw error;
  }
}

/** The instances of an app that neither shall run, nor stay warm, nor are jobs under way. */
export async function straysOf(app: App, live: string | null, wanted: readonly string[]): Promise<string[]> {
  const { name, manager } = app;
  const warm = (await warmIds(app)).filter((id) => id !== live);
  const strays: string[] = [];
  for (const id of await manager.instances(name)) {
    if (wanted.includes(id) || warm.includes(id)) continue;
    // A job ends in the release that it began in.
    const isUnderWay = async () => (await manager.status({ app: name, id })).state === "running";
    if (isJob(id) && (isInHand(app, id) || (await isUnderWay()))) continue;
    strays.push(id);
  }
  return strays;
}
