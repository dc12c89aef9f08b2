// Whose turn it is: one deploy at a time, and of several that wait only the newest runs.
import { mkdir, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readdirSync } from "node:fs";
import { DpError } from "../errors.ts";
import { removeFile } from "../files.ts";
import { holder, queueFile, type Holder } from "./history.ts";
import { holderOf, isLocked, waitForLock, type Lock } from "../lock.ts";
import { isReleaseId, places, sequenceOf } from "../paths.ts";
import type { Kind } from "../pipeline.ts";
import { loginName } from "../setup/users.ts";

// Undefined: nobody waits there, or it is not noted yet.
const kindOf = (place: string) => (holderOf(place) as { kind?: Kind } | null)?.kind;

/** The newest deploy that waits behind `id`, or null. */
function newerThan(app: string, id: string): string | null {
  const waiting = readdirSync(dirname(queueFile(app, id))).filter(isReleaseId);
  // A restart brings no commit, so that no deploy may be left out for it; nor for what has not said yet what it is.
  const isDeploy = (kind: Kind | undefined) => kind !== undefined && kind !== "restart";
  const isNewer = (other: string) => sequenceOf(other) > sequenceOf(id) && isDeploy(kindOf(queueFile(app, other)));
  const newer = waiting.filter(isNewer);
  return newer.sort((a, b) => sequenceOf(a) - sequenceOf(b)).at(-1) ?? null;
}

/**
 * Waits for the app's lock. Throws DpError "locked" when a newer deploy came to wait as well, or when `stop`
 * is aborted, its reason. `say` gets one line when there is something to wait for.
 */
export async function takeTurn(
  app: string,
  { id, kind, by }: { id: string; kind: Kind; by: string },
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<Lock> {
  const mine = queueFile(app, id);
  await mkdir(dirname(mine), { recursive: true, mode: 0o700 });
  await sweep(app);
  const place = await soon(mine, () => new DpError("locked", `${id} waits for its turn already`));
  place.note({ kind });
  const turn = () => {
    stop.throwIfAborted();
    // What brings new settings is worth its turn, whatever comes after it.
    const newer = kind === "restart" ? null : newerThan(app, id);
    if (newer) throw new DpError("locked", `superseded by ${newer}, which was pushed later and goes first`);
  };
  try {
    const lock = await waitForLock(places(app).lock, turn, () => say(`waiting for ${describeHolder(holder(app))}`));
    lock.note({ id, by, pid: process.pid, since: new Date().toISOString() } satisfies Holder);
    return lock;
  } finally {
    place.release();
    await removeFile(mine);
  }
}

/** The runs that died while they waited: their places are still there. */
export async function stalePlaces(app: string): Promise<string[]> {
  const names = await readdir(dirname(queueFile(app, "1-0000000")));
  return names.filter((name) => isReleaseId(name) && !isLocked(queueFile(app, name)));
}

/** Removes their places. */
export async function sweep(app: string): Promise<void> {
  for (const name of await stalePlaces(app)) await removeFile(queueFile(app, name));
}

// Whoever only asks holds a lock for a moment: it takes a second to be sure that it is held.
function soon(path: string, held: () => DpError): Promise<Lock> {
  const patience = performance.now() + 1_000;
  const turn = () => {
    if (performance.now() > patience) throw held();
  };
  return waitForLock(path, turn, () => undefined);
}

/** Takes the app's lock for a single command; throws DpError "locked" that names the holder. */
export async function lockNow(app: string, what: string): Promise<Lock> {
  const hint = `dp logs ${app} --deploy -f`;
  const lock = await soon(
    places(app).lock,
    () => new DpError("locked", `${describeHolder(holder(app))} is running`, { hint }),
  );
  lock.note({ id: what, by: loginName(), pid: process.pid, since: new Date().toISOString() } satisfies Holder);
  return lock;
}

/** `deploy 42-3f9c2ab by root@203.0.113.5, since 12:04:11`. */
export function describeHolder(held: Holder | null): string {
  if (!held) return "another dp";
  const since = new Date(held.since).toLocaleTimeString("en-GB");
  return `${isReleaseId(held.id) ? `deploy ${held.id}` : held.id} by ${held.by}, since ${since}`;
}
