// What the last look saw, in one file for all apps: /var/lib/dp/watch.json. `dp watch` writes it, `dp fleet` and
// `dp metrics` read it.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import { readText, writeFileAtomic } from "../host/files.ts";
import { root } from "../paths.ts";

const time = v.pipe(v.string(), v.isoTimestamp());

const app = v.object({
  /**
   * "down": bad at two looks, or given up by its manager. "deploying", "stopped" (on purpose) and "empty" (no release)
   * are not asked; "unknown": it could not be asked.
   */
  state: v.picklist(["ok", "down", "deploying", "stopped", "empty", "unknown"]),
  /** Since when it is in that state; for "down", the first bad look. */
  since: time,
  /** The live release; null: none. */
  live: v.nullable(v.string()),
  /** The answer to the health check: "200", "connection refused"; null: not asked, or no web process. */
  health: v.nullable(v.string()),
  /** How long the health check took, in ms; null: not asked. */
  ms: v.nullable(v.number()),
  /** What is wrong, in words; empty: nothing. */
  detail: v.string(),
  /** Restarts of the web process after crashes, or of all processes of an app without one. */
  restarts: v.number(),
  /** What the looks so far amount to. The judge's own notes follow. */
  verdict: v.picklist(["ok", "down"]),
  verdictSince: time,
  /** The first of the good or bad looks in a row that contradict the verdict, and how many there were. */
  doubt: v.nullable(v.object({ since: time, looks: v.number() })),
  /** What was told last; "flaps": that it changes too often. */
  told: v.picklist(["ok", "down", "flaps"]),
  /** The start of the trouble that was told. */
  trouble: v.nullable(time),
  /** When the verdict changed within the last minutes. */
  changes: v.array(time),
  /** When it was last said to be down. */
  reminded: v.nullable(time),
  /** Whether a deploy, restart or stop held it at this look. */
  isHeld: v.boolean(),
  /** Since when it could not be asked, and whether that was told. */
  unasked: v.nullable(v.object({ since: time, told: v.boolean() })),
  /** Processes other than web that failed for good, told since when: "worker.1" -> time. */
  failed: v.record(v.string(), time),
  /** Domain -> what was told last of its certificate. */
  certificates: v.optional(v.record(v.string(), v.string()), {}),
  /** The newest ended run that was told, or that needs no telling; null: none. */
  run: v.nullable(v.string()),
});

const schema = v.object({
  version: v.literal(1),
  /** When the look ended. */
  at: time,
  /** How long it took, in ms. */
  took: v.number(),
  /** The boot of the machine that the look belongs to. */
  boot: v.string(),
  /** Looks since the machine came up until that was told; null: it was told, or dp was not watching before. */
  booting: v.nullable(v.number()),
  apps: v.record(v.string(), app),
  /** Since when the disk is nearly full, and whether that was told; null: it is not. */
  disk: v.nullable(v.object({ since: time, told: v.boolean() })),
});

/** One app at the last look. Times are ISO 8601. */
export type Watched = v.InferOutput<typeof app>;
/** The last look. */
export type Watch = v.InferOutput<typeof schema>;

/** The file of the last look. */
export const watchFile = () => `${root()}/var/lib/dp/watch.json`;

/** The last look; null when there was none, or its file is damaged. */
export async function readWatch(): Promise<Watch | null> {
  const text = await readText(watchFile());
  if (text === null) return null;
  try {
    const parsed = v.safeParse(schema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null; // not JSON: the next look writes it anew
  }
}

/** Writes it. */
export async function writeWatch(watch: Watch): Promise<void> {
  await mkdir(dirname(watchFile()), { recursive: true, mode: 0o755 });
  await writeFileAtomic(watchFile(), `${JSON.stringify(watch)}\n`, 0o600);
}
