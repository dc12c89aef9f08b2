// `dp releases`: the history of deploys, newest first.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { runsOf, type PastRun, type RunState } from "../release/history.ts";
import { idOf, sequenceOf } from "../text/ids.ts";
import { rollbackTarget } from "../release/rollback-target.ts";
import { toldApp } from "../release/known-app.ts";
import { table, when } from "../text/table.ts";

export interface ReleaseRow {
  number: number;
  id: string;
  /**
   * The release that the run put live: its own, or for a rollback an older one. The release of a restart uses the files
   * of another.
   */
  release: string | null;
  kind: "deploy" | "rollback" | "restart";
  sha: string;
  subject: string;
  by: string;
  /** ISO 8601. */
  startedAt: string;
  /**
   * The sum of its steps in ms, or null while it runs: without queueing, and without the pause before it was resumed.
   * For a step that ran twice, only its last run counts.
   */
  took: number | null;
  /** "pruned": it was good, but its files are gone, so it is no rollback target. */
  state: RunState | "pruned";
  error: string | null;
  isLive: boolean;
  isPrevious: boolean;
  /** Whether it is the rollback target. */
  isRollbackTarget: boolean;
  /** Whether its files are still on the server. */
  isKept: boolean;
}

/** Every run of the app, newest first; `warn` gets a line for each run file that cannot be read, and for config.yml. */
export async function releases(name: string, warn: (message: string) => void): Promise<ReleaseRow[]> {
  const app = await toldApp(name, warn);
  const live = await app.live();
  const now = { live, previous: await app.previous(), back: await rollbackTarget(app, live) };
  return (await runsOf(app, warn)).map((past) => rowOf(app, past, now)).toReversed();
}

/** The releases with a role in the app now. */
type Now = Record<"live" | "previous" | "back", string | null>;

function rowOf({ places }: NamedApp, { id, run, state }: PastRun, { live, previous, back }: Now): ReleaseRow {
  const text = (name: string) => String(run.facts[name] ?? "");
  const kind = run.facts["kind"] === "rollback" ? "rollback" : run.facts["kind"] === "restart" ? "restart" : "deploy";
  const release = idOf(text("release") || null);
  const isRelease = kind !== "rollback";
  const isKept = isRelease && existsSync(join(places.releases, id));
  return {
    number: sequenceOf(id),
    id,
    release,
    kind,
    sha: text("sha"),
    subject: kind === "restart" ? `${text("reason")}; files of ${text("restarts")}` : text("subject"),
    by: text("by"),
    startedAt: text("startedAt"),
    took: tookOf(run),
    state: state === "good" && isRelease && !isKept ? "pruned" : state,
    error: run.result?.error ?? null,
    isLive: isRelease && id === live,
    isPrevious: isRelease && id === previous,
    isRollbackTarget: isRelease && id === back,
    isKept,
  };
}

function tookOf(run: PastRun["run"]): number | null {
  if (!run.result) return null;
  return Object.values(run.journal).reduce((sum, { took = 0 }) => sum + took, 0);
}

/** The rows as a table for people. */
export function releaseLines(rows: readonly ReleaseRow[]): string[] {
  if (rows.length === 0) return ["no deploy yet"];
  const mark = (row: ReleaseRow) =>
    [row.isLive && "live", row.isPrevious && "previous", row.isRollbackTarget && "rollback target"]
      .filter(Boolean)
      .join(", ");
  const what = (row: ReleaseRow) => (row.kind === "rollback" ? `back to ${row.release}` : row.subject.slice(0, 50));
  return table(
    ["RELEASE", "STATE", "", "WHEN", "TOOK", "BY", "WHAT"],
    rows.map((row) => [
      row.id,
      row.state,
      mark(row),
      when(row.startedAt),
      row.took === null ? "" : `${(row.took / 1000).toFixed(1)} s`,
      row.by,
      what(row),
    ]),
  );
}
