// The sender's own files: a row of messages for each target, what has ended, and the log. Nobody else writes them.
import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Happening } from "../contracts/notifier.ts";
import { writeFileAtomic } from "../host/files.ts";
import { codeOf } from "../errors.ts";
import { readSafely } from "./targets.ts";

const DAY = 86_400_000;
/** What has ended is known for so long, in ms, and so many at most. */
const KEPT = 7 * DAY;
const MOST = 1_000;
/** Bytes of the log until it is put aside. */
const LOG_MOST = 1024 ** 2;

/** A message that waits for one target. Times are in ms. */
export interface Waiting {
  id: string;
  happening: Happening;
  /** When it was taken into the row. */
  since: number;
  tries: number;
  /** The next try. */
  next: number;
  /** How the last try ended; empty: there was none. */
  said: string;
}

/** How a message ended: "sent", or "given up", or "told as one" with others. */
export interface Done {
  target: string;
  end: "sent" | "given up" | "told as one";
  /** In ms. */
  at: number;
}

/** One line of the log. */
export interface LogLine extends Omit<Done, "at" | "end"> {
  /** ISO 8601. */
  time: string;
  id: string;
  event: string;
  app: string | null;
  end: Done["end"] | "tried" | "dropped";
  said: string;
  /** The first line of the message. */
  title: string;
}

/** The paths in the folder of the queue. */
export const pathsIn = (folder: string) => ({
  posted: join(folder, "new"),
  own: join(folder, "own"),
  rows: join(folder, "own/rows"),
  done: join(folder, "own/done"),
  log: join(folder, "own/log"),
  lock: join(folder, "own/lock"),
});

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

/** A file of JSON; null: it is gone, or not JSON. */
export function readJson<T>(path: string): T | null {
  try {
    const text = readSafely(path);
    return text === null ? null : (JSON.parse(text) as T);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The names of the files in a folder that are whole, without their suffix. */
export const idsIn = (folder: string): string[] =>
  namesIn(folder)
    .filter((name) => /^[a-z0-9]+\.json$/.test(name))
    .map((name) => name.slice(0, -".json".length));

/** The targets that have a row. */
export const rowNames = (folder: string): string[] => namesIn(pathsIn(folder).rows);

/** The row of a target, oldest first. */
export function rowOf(folder: string, target: string): Waiting[] {
  const row = join(pathsIn(folder).rows, target);
  const all = idsIn(row).map((id) => readJson<Waiting>(join(row, `${id}.json`)));
  return all
    .filter((one) => one !== null)
    .sort((a, b) => a.happening.time.localeCompare(b.happening.time) || a.id.localeCompare(b.id));
}

/** Writes a message of a row. */
export async function keepWaiting(folder: string, target: string, waiting: Waiting): Promise<void> {
  const row = join(pathsIn(folder).rows, target);
  mkdirSync(row, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(row, `${waiting.id}.json`), JSON.stringify(waiting), 0o600);
}

/** Whether a message is in a row. */
export const isWaiting = (folder: string, target: string, id: string): boolean =>
  statSync(join(pathsIn(folder).rows, target, `${id}.json`), { throwIfNoEntry: false }) !== undefined;

/** Takes a message out of its row. */
export const removeWaiting = (folder: string, target: string, id: string): void =>
  rmSync(join(pathsIn(folder).rows, target, `${id}.json`), { force: true });

/** Removes a whole row. */
export const removeRow = (folder: string, target: string): void =>
  rmSync(join(pathsIn(folder).rows, target), { recursive: true, force: true });

/** All that has ended lately, by ID. */
export function allDone(folder: string): Map<string, Done> {
  const { done } = pathsIn(folder);
  const all = idsIn(done).map((id) => [id, readJson<Done>(join(done, `${id}.json`))] as const);
  return new Map(all.filter((one): one is readonly [string, Done] => one[1] !== null));
}

/** Notes how a message ended. */
export async function keepDone(folder: string, id: string, done: Done): Promise<void> {
  mkdirSync(pathsIn(folder).done, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(pathsIn(folder).done, `${id}.json`), JSON.stringify(done), 0o600);
}

/** Forgets what has ended long ago. */
export function forgetOld(folder: string, now: number): void {
  const newestFirst = [...allDone(folder)].sort(([, a], [, b]) => b.at - a.at);
  const old = newestFirst.filter(([, { at }], index) => index >= MOST || now - at > KEPT);
  for (const [id] of old) rmSync(join(pathsIn(folder).done, `${id}.json`), { force: true });
}

/** Adds a line to the log, which is put aside when it is full. A log that cannot be written stops nothing. */
export function addLog(folder: string, line: LogLine): void {
  const { log } = pathsIn(folder);
  try {
    appendFileSync(log, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    if (statSync(log).size > LOG_MOST) renameSync(log, `${log}.1`);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

/** The last lines of the log, oldest first. */
export function lastLog(folder: string, count: number): LogLine[] {
  const { log } = pathsIn(folder);
  const lines = [`${log}.1`, log].flatMap((file) => (readSafely(file) ?? "").split("\n")).filter(Boolean);
  return lines.slice(-count).flatMap((line) => {
    try {
      return [JSON.parse(line) as LogLine];
    } catch {
      return []; // half a line, after a full disk
    }
  });
}

/** Removes a file that was posted; a temp file of a poster that was killed, too. */
export function removePosted(folder: string, name: string): void {
  try {
    unlinkSync(join(pathsIn(folder).posted, name));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** The temp files in `new` whose poster must be gone. */
export const stalePosted = (folder: string, now: number): string[] =>
  namesIn(pathsIn(folder).posted).filter((name) => {
    const stat = name.startsWith(".")
      ? statSync(join(pathsIn(folder).posted, name), { throwIfNoEntry: false })
      : undefined;
    return stat !== undefined && now - stat.mtimeMs > 60_000;
  });
