// Every run of an app at a glance. What is asked of old runs stands in an index, so that not every run file is read.
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { RunResult } from "../pipeline/run-file.ts";
import { idOf } from "../text/ids.ts";
import { holder, readRuns, runFile, runIds, type PastRun, type RunState } from "./history.ts";

/** A run, without its facts. */
export interface Glance {
  id: string;
  state: RunState;
  /** Its release: the one that it made, or goes back to. */
  release: string | null;
  /** The state of its step swap. */
  swap: string | null;
  /** Whether a step has begun. */
  hasBegun: boolean;
  /** Whether its end was written down. */
  isOver: boolean;
}

/** Of a finished run: the state of its file, its own state, its release, its swap, and whether a step has begun. */
type Entry = [file: string, state: RunResult["state"], release: string | null, swap: string | null, hasBegun: boolean];
type Index = Record<string, Entry>;

/** The file of the index. It follows from the run files, and may be deleted at any time. */
const fileOf = ({ places }: NamedApp) => join(places.base, "history.json");

/** So many runs may be missing in the index before it is written again: that waits for the disk. */
const MISSING = 20;

/** Every run of an app, oldest first; `damaged` gets a message for each run file that cannot be read. */
export async function glancesOf(app: NamedApp, damaged?: (message: string) => void): Promise<Glance[]> {
  const index = await indexOf(app);
  const ids = await runIds(app);
  const holding = holder(app)?.id;
  const found = new Map<string, Glance>();
  for (const id of ids) {
    const entry = index[id];
    if (entry === undefined || entry[0] !== stateOfFile(app, id)) continue;
    const [, state, release, swap, hasBegun] = entry;
    found.set(id, { id, state: id === holding ? "running" : state, release, swap, hasBegun, isOver: true });
  }
  const unknown = ids.filter((id) => !found.has(id));
  for (const past of await readRuns(app, unknown, damaged)) found.set(past.id, glanceAt(past));
  return ids.flatMap((id) => found.get(id) ?? []);
}

/** Brings the index up to date, if many finished runs are missing in it; `runs`: all that there are. */
export async function keepIndex(app: NamedApp, runs: readonly PastRun[]): Promise<void> {
  const before = await indexOf(app);
  const index: Index = {};
  let missing = 0;
  for (const past of runs) {
    const file = stateOfFile(app, past.id);
    const state = past.run.result?.state;
    if (file === null || state === undefined) continue;
    const { release, swap, hasBegun } = glanceAt(past);
    index[past.id] = [file, state, release, swap, hasBegun];
    if (before[past.id]?.[0] !== file) missing++;
  }
  if (missing > MISSING) await writeFileAtomic(fileOf(app), `${JSON.stringify(index)}\n`, 0o600);
}

// Only dp can write it, and an entry counts only with the state of its run file: so no schema is spent on thousands.
async function indexOf(app: NamedApp): Promise<Index> {
  try {
    const found: unknown = JSON.parse((await readText(fileOf(app))) ?? "{}");
    const isIndex = typeof found === "object" && found !== null && Object.values(found).every(Array.isArray);
    return isIndex ? (found as Index) : {};
  } catch {
    return {}; // damaged: the run files are read
  }
}

function glanceAt({ id, state, run }: PastRun): Glance {
  const { facts, journal, result } = run;
  return {
    id,
    state,
    release: idOf(String(facts["release"] ?? "")),
    swap: journal["swap"]?.state ?? null,
    hasBegun: Object.keys(journal).length > 0,
    isOver: result !== undefined,
  };
}

// Any write, replacement or change of rights changes one of these.
function stateOfFile(app: NamedApp, id: string): string | null {
  const stat = lstatSync(runFile(app, id), { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const { dev, ino, size, ctimeMs, mode, uid } = stat;
  return `${dev} ${ino} ${size} ${ctimeMs} ${mode} ${uid}`;
}
