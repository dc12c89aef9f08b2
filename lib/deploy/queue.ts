// Queueing: one deploy at a time, and if several are waiting, only the newest runs.
import { mkdir, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readdirSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { codeOf, DpError } from "../errors.ts";
import { removeFile } from "../host/files.ts";
import { holderOf, isLocked, waitForLock, type Lock } from "../host/lock.ts";
import { isReleaseId, sequenceOf } from "../text/ids.ts";
import { startTime } from "../host/process/process.ts";
import { requireReader } from "../host/process/reader.ts";
import { starter } from "../host/who.ts";
import { say } from "../text/say.ts";
import { requireUnlocked } from "./hand-lock.ts";
import { holder, queueFile, type Holder } from "../release/history.ts";
import type { Kind } from "../pipeline/facts.ts";

/** A queued deploy. */
export type Waiting = Holder & { kind: Kind };

/** The queued deploys, oldest first, without any that have not yet noted their names. */
export function waitingFor(app: NamedApp): Waiting[] {
  let names: string[];
  try {
    names = readdirSync(dirname(queueFile(app, "1-0000000")));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
  const noted = names.filter(isReleaseId).map((id) => holderOf(queueFile(app, id)) as Waiting | null);
  return noted.filter((one) => one !== null).sort((a, b) => sequenceOf(a.id) - sequenceOf(b.id));
}

/** The newest queued deploy after `id`. A restart brings no commit, so it supersedes nothing. */
const newerThan = (app: NamedApp, id: string) =>
  waitingFor(app).findLast((other) => sequenceOf(other.id) > sequenceOf(id) && other.kind !== "restart");

/** A run that wants the app's lock. */
export interface Turn extends Pick<Holder, "id" | "by" | "git"> {
  kind: Kind;
  /** How long it may wait, in ms; without it, for ever. */
  wait?: number | undefined;
  /** Runs even if somebody has locked the app. */
  force?: boolean | undefined;
}

/**
 * Waits for the app's lock. Throws DpError "superseded" when a newer deploy has joined the queue, "locked" when the
 * waiting time is over or the app turns out to be locked by hand; throws the reason of `stop` when that is aborted.
 * `say` gets one line if the run has to wait.
 */
export async function takeTurn(
  app: NamedApp,
  { id, kind, by, git, wait, force }: Turn,
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<Lock> {
  const mine = queueFile(app, id);
  await mkdir(dirname(mine), { recursive: true, mode: 0o700 });
  await sweep(app);
  const place = await soon(mine, () => new DpError("locked", `${id} is already waiting`));
  place.note({ ...myself(id, by), git, kind } satisfies Waiting);
  const isOver = deadline(wait);
  const turn = () => {
    stop.throwIfAborted();
    // A restart with new settings deserves its turn, whatever comes after it.
    const newer = kind === "restart" ? undefined : newerThan(app, id);
    if (newer) throw new DpError("superseded", `superseded by ${newer.id}, which was pushed later`);
    requireTimeLeft(app, isOver);
  };
  let lock: Lock | undefined;
  try {
    lock = await waitForLock(app.places.lock, turn, () => say(`waiting for ${describeHolder(holder(app))}`));
    if (force !== true) requireUnlocked(app);
    lock.note({ ...myself(id, by), git } satisfies Holder);
    return lock;
  } catch (error) {
    lock?.release();
    throw error;
  } finally {
    place.release();
    await removeFile(mine);
  }
}

/** Runs that died while they were queued: their queue files are still there. */
export async function stalePlaces(app: NamedApp): Promise<string[]> {
  const names = await readdir(dirname(queueFile(app, "1-0000000")));
  return names.filter((name) => isReleaseId(name) && !isLocked(queueFile(app, name)));
}

/** Removes those queue files. */
export async function sweep(app: NamedApp): Promise<void> {
  for (const name of await stalePlaces(app)) await removeFile(queueFile(app, name));
}

const myself = (id: string, by: string): Holder => ({
  id,
  by,
  pid: process.pid,
  startTime: startTime(process.pid) ?? 0,
  since: new Date().toISOString(),
});

/** Answers whether `wait` ms from now are over; never, without `wait`. */
export function deadline(wait: number | undefined): () => boolean {
  const end = performance.now() + (wait ?? Infinity);
  return () => performance.now() >= end;
}

/** Throws DpError "locked", with the holder's name, when the app is held and the waiting time is over. */
export function requireTimeLeft(app: NamedApp, isOver: () => boolean): void {
  const held = isOver() ? holder(app) : null;
  if (!held) return;
  const hint = `dp logs ${app.name} --deploy -f, or wait longer: --wait 5m`;
  throw new DpError("locked", `${describeHolder(held)}, is running`, { hint });
}

// A mere check takes a lock for a moment, too: only after a second is it certain that somebody holds it.
function soon(path: string, held: () => DpError): Promise<Lock> {
  const isOver = deadline(1_000);
  const turn = () => {
    if (isOver()) throw held();
  };
  return waitForLock(path, turn, () => undefined);
}

/** Waits for the app's lock for a single command, until a running deploy has ended; `say` gets one line before that. */
export async function lockWhenFree(app: NamedApp, what: string, say: (line: string) => void): Promise<Lock> {
  const waiting = () => say(`${app.name}: waiting for ${describeHolder(holder(app))}`);
  const lock = await waitForLock(app.places.lock, () => undefined, waiting);
  lock.note(myself(what, starter()));
  return lock;
}

/** Takes the app's lock for a single command; throws DpError "locked" with the holder's name. */
export async function lockNow(app: NamedApp, what: string): Promise<Lock> {
  const hint = `dp logs ${app.name} --deploy -f`;
  const lock = await soon(
    app.places.lock,
    () => new DpError("locked", `${describeHolder(holder(app))}, is running`, { hint }),
  ).catch((error) => {
    if (codeOf(error) !== "ENOENT") throw error;
    throw new DpError("usage", `there is no app "${app.name}" on this server any more`); // destroyed meanwhile
  });
  lock.note(myself(what, starter()));
  return lock;
}

/** `deploy 42-3f9c2ab by root@203.0.113.5, since 12:04:11`. */
export function describeHolder(held: Holder | null): string {
  if (!held) return "another dp";
  const since = new Date(held.since).toLocaleTimeString("en-GB");
  return `${isReleaseId(held.id) ? `deploy ${held.id}` : held.id} by ${held.by}, since ${since}`;
}

/** How a command answers, and how long it may wait before it starts. */
export interface Answer {
  /** The answer is JSON on stdout, so the log goes to stderr. */
  json?: boolean | undefined;
  /** How long to wait for the holder of the app, in ms; without it, for ever. */
  wait?: number | undefined;
}

/**
 * Waits until no deploy is running, because a restart takes the release that is live by then. Answers the rest of the
 * waiting time, in ms; throws DpError "locked" when it is over.
 */
export async function quiet(app: NamedApp, wait?: number): Promise<number | undefined> {
  const begun = performance.now();
  const isOver = deadline(wait);
  for (let told = false; ; told = true) {
    const held = holder(app);
    if (held === null) return wait === undefined ? undefined : Math.max(0, begun + wait - performance.now());
    requireTimeLeft(app, isOver);
    requireReader();
    if (!told) say(`dp: waiting for ${describeHolder(held)}; dp cancel ${app.name} ends it`);
    await Bun.sleep(100);
  }
}
