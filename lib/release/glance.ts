// Every run of an app at a glance. What is asked of old runs stands in an index, so that not every run file is read.
import { lstatSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { NamedApp } from "../contracts/app.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
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

const picked = v.nullable(v.string());
/** Run -> the state of its file, its own state, its release, its swap, and whether a step has begun. */
const Index = v.pipe(
  v.string(),
  v.parseJson(),
  v.record(
    v.string(),
    v.strictTuple([v.string(), v.picklist(["good", "failed", "superseded"]), picked, picked, v.boolean()]),
  ),
);
type Index = v.InferOutput<typeof Index>;

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

async function indexOf(app: NamedApp): Promise<Index> {
  const text = await readText(fileOf(app)).catch(() => null);
  const parsed = v.safeParse(Index, text);
  return parsed.success ? parsed.output : {}; // missing or damaged: the run files are read
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
  const stat = lstatSync(runFile(app, id), { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return null;
  const { dev, ino, size, ctimeNs, mode, uid } = stat;
  return [dev, ino, size, ctimeNs, mode, uid].join(" ");
}
