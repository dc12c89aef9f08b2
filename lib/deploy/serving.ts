// What serves after a run that failed, in the words of its last lines.
import { DpError } from "../errors.ts";
import { factsOfRelease, type InstanceFacts } from "../release/instance.ts";
import { managerOf } from "../release/manager.ts";
import { hasWeb, idsOfRelease, stoppedIds } from "../release/processes.ts";
import type { ServerConfig } from "../config/types.ts";

/** `41-3f9c2ab, as before`; of a live release that does not run, why, and what to type. Never throws a DpError. */
export async function servingWords(
  app: string,
  live: string,
  server: ServerConfig,
  how = "as before",
): Promise<string> {
  let facts: InstanceFacts;
  try {
    facts = await factsOfRelease(app, live, server);
  } catch (error) {
    if (error instanceof DpError) return `${live}, ${how}`; // what is wrong with its record is dp status' to say
    throw error;
  }
  // What answers is its web process; where there is none, any that runs.
  const ids = hasWeb(facts.config) ? [live] : idsOfRelease(live, facts.config, server);
  const stopped = await stoppedIds(app);
  if (ids.length > 0 && ids.every((id) => stopped.has(id)))
    return `nothing, as before; ${live} was stopped by dp stop: dp start ${app}`;
  try {
    const managed = await managerOf(server);
    for (const id of ids) if ((await managed.status({ app, id })).state === "running") return `${live}, ${how}`;
  } catch (error) {
    if (error instanceof DpError) return `unknown; dp status ${app} tells`;
    throw error;
  }
  return ids.length === 0 ? `${live}, ${how}` : `nothing; ${live} is live and does not run: dp doctor ${app}`;
}
