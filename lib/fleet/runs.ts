// The runs of an app for reports: an ended run is read once, and kept.
import { statSync } from "node:fs";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { idOf } from "../text/ids.ts";
import { load, type Run } from "../pipeline/run-file.ts";
import { runFile, runIds } from "../release/history.ts";
import type { EndedRun, KeptApp } from "./kept.ts";

/** How many run files are read at a time. */
const AT_ONCE = 32;

/** Without apps on it, a folder that was made anew has another number or another time of birth. */
function folderOf({ places }: App): string {
  const stat = statSync(places.runs, { throwIfNoEntry: false });
  return stat ? `${stat.dev} ${stat.ino} ${stat.birthtimeMs}` : "";
}

/**
 * What is kept of an app, brought up to date: its ended runs among the newest `most`, and the IDs of all its runs,
 * oldest first.
 */
export async function keptRuns(app: App, before: KeptApp | undefined, most: number) {
  const folder = folderOf(app);
  const isSame = before?.folder === folder;
  const kept: KeptApp = isSame
    ? before
    : { folder, runs: {}, gone: { good: 0, failed: 0, superseded: 0 }, downSince: null };
  const ids = await runIds(app);
  const there = new Set(ids);
  for (const [id, { state }] of Object.entries(kept.runs)) {
    if (there.has(id)) continue;
    kept.gone[state]++;
    delete kept.runs[id];
  }
  const unread = ids.slice(-most).filter((id) => kept.runs[id] === undefined);
  for (let at = 0; at < unread.length; at += AT_ONCE)
    for (const [id, run] of await Promise.all(unread.slice(at, at + AT_ONCE).map((id) => endedRun(app, id))))
      if (run) kept.runs[id] = run;
  return { kept, ids };
}

async function endedRun(app: App, id: string): Promise<[id: string, run: EndedRun | null]> {
  try {
    return [id, endOf(await load(runFile(app, id)))];
  } catch (error) {
    if (error instanceof DpError) return [id, null]; // damaged: dp doctor reports it
    throw error;
  }
}

function endOf({ facts, journal, result }: Run): EndedRun | null {
  if (!result) return null;
  return {
    state: result.state,
    release: idOf(typeof facts["release"] === "string" ? facts["release"] : null),
    by: String(facts["by"] ?? ""),
    endedAt: Math.floor(Date.parse(result.endedAt) / 1000) || 0,
    took: Object.values(journal).reduce((sum, { took = 0 }) => sum + took, 0),
  };
}
