// `dp ps`: every process of an app and its state.
import { DpError } from "../errors.ts";
import { isWeb, processOf, releaseOf } from "../text/ids.ts";
import { residentMemory } from "../host/process/process.ts";
import { factsOfRelease, instanceOf, otherInstance, type InstanceFacts } from "../release/instance.ts";
import { toldApp } from "../release/known-app.ts";
import { stoppedIds } from "../release/processes.ts";
import { spanText, table } from "../text/table.ts";
import { idsOf, liveFacts, liveOf } from "./processes.ts";
import type { InstanceStatus } from "../host/instance.ts";

export interface ProcessRow extends InstanceStatus {
  /** `worker.2` */
  process: string;
  release: string;
  /** Resident memory of the whole process tree, in bytes; null: it does not run. */
  memory: number | null;
  /** Its shell line. */
  command: string;
}

/** Every process of an app: those that should run, and any others that do; `tell` gets the mistake in config.yml. */
export async function ps(name: string, tell: (line: string) => void): Promise<ProcessRow[]> {
  const app = await toldApp(name, tell);
  const { manager } = app;
  const facts = await liveFacts(app);
  const own = idsOf(facts);
  const others = (await manager.instances(name)).filter((id) => !own.includes(id));
  const stopped = await stoppedIds(app);
  return Promise.all(
    [...own, ...others].map(async (id) => {
      const status = await manager.status({ app: name, id });
      const pids = await manager.pids({ app: name, id });
      const detail = own.includes(id) && stopped.has(id) ? "by dp stop" : status.detail;
      const memory = pids.length > 0 ? residentMemory(pids) : null;
      const named = { process: processOf(id), release: releaseOf(id) };
      return { ...named, ...status, detail, memory, command: await commandOf(facts, id) };
    }),
  );
}

async function commandOf(facts: InstanceFacts, id: string): Promise<string> {
  const { app } = facts;
  try {
    const own = releaseOf(id) === liveOf(facts) ? facts : await factsOfRelease(app, releaseOf(id));
    return (isWeb(id) ? await instanceOf(own, app.server.port) : await otherInstance(own, id)).command;
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return "?"; // A release without a record
  }
}

/** The rows for people; `now` in ms. */
export function processLines(rows: readonly ProcessRow[], now: number): string[] {
  const live = rows[0]?.release;
  return table(
    ["PROCESS", "STATE", "PID", "UP", "RESTARTS", "MEMORY", "COMMAND"],
    rows.map((row) => [
      row.release === live ? row.process : `${row.process} of ${row.release}`,
      row.detail ? `${row.state}: ${row.detail}` : row.state,
      row.pid === null ? "" : String(row.pid),
      row.since === null ? "" : spanText(now - Date.parse(row.since)),
      String(row.restarts),
      row.memory === null ? "" : `${(row.memory / 1024 / 1024).toFixed(1)} MB`,
      row.command,
    ]),
  );
}
