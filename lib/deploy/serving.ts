// What serves after a failed run, in the words of its last lines.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { factsOfRelease, type InstanceFacts } from "../release/instance.ts";
import { hasWeb, idsOfRelease, stoppedIds } from "../release/processes.ts";

/** `41-3f9c2ab, as before`; for a live release that does not run, why, and what to type. Never throws a DpError. */
export async function servingWords(app: App, live: string, how = "as before"): Promise<string> {
  const { name, server, manager } = app;
  let facts: InstanceFacts;
  try {
    facts = await factsOfRelease(app, live);
  } catch (error) {
    if (error instanceof DpError) return `${live}, ${how}`; // `dp status` reports what is wrong with the record
    throw error;
  }
  // The web process answers for the release; without one, any running process does.
  const ids = hasWeb(facts.config) ? [live] : idsOfRelease(live, facts.config, server);
  const stopped = await stoppedIds(app);
  if (ids.length > 0 && ids.every((id) => stopped.has(id)))
    return `nothing, as before; ${live} was stopped by dp stop: dp start ${name}`;
  try {
    for (const id of ids) if ((await manager.status({ app: name, id })).state === "running") return `${live}, ${how}`;
  } catch (error) {
    if (error instanceof DpError) return `unknown; see dp status ${name}`;
    throw error;
  }
  return ids.length === 0 ? `${live}, ${how}` : `nothing; ${live} is live and is not running: dp doctor ${name}`;
}
