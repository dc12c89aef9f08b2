// `dp lock`, `dp unlock`, `dp lock status`: keeps others from changing the app, and shows who holds it.
import { DpError } from "../errors.ts";
import { describeHandLock, handLock, lockByHand, unlockByHand, type HandLock } from "../deploy/hand-lock.ts";
import { holder, type Holder } from "../release/history.ts";
import { describeHolder, waitingFor, type Waiting } from "../deploy/queue.ts";
import { openApp } from "../release/app.ts";
import type { NamedApp } from "../contracts/app.ts";

/** Who holds an app. */
export interface LockStatus {
  app: string;
  /** Whether anybody holds it. */
  isHeld: boolean;
  /** The lock that somebody set by hand, or null. */
  lock: HandLock | null;
  /** The running deploy or command, or null. */
  running: Holder | null;
  /** Queued deploys, oldest first. */
  waiting: Waiting[];
}

/** Who holds the app: nobody, a deploy, a lock by hand, or both. */
export async function lockStatus(name: string): Promise<LockStatus> {
  return statusOf(await openApp(name));
}

function statusOf(app: NamedApp): LockStatus {
  const [lock, running] = [handLock(app), holder(app)];
  return { app: app.name, isHeld: lock !== null || running !== null, lock, running, waiting: waitingFor(app) };
}

/** The same for people. */
export function lockLines({ app, isHeld, lock, running, waiting }: LockStatus): string[] {
  return [
    ...(isHeld ? [] : [`${app} is free`]),
    ...(lock ? [`locked by ${describeHandLock(lock)}`] : []),
    ...(running ? [`${describeHolder(running)}, pid ${running.pid}, is running`] : []),
    ...waiting.map((one) => `${describeHolder(one)}, waits`),
  ];
}

/** Locks an app. Throws DpError "locked" when it is locked already, "usage" for a reason that is not one line. */
export async function lock(name: string, reason: string | null): Promise<LockStatus> {
  const app = await openApp(name);
  const words = reason?.trim() ?? "";
  if (/\p{Cc}/u.test(words) || words.length > 500)
    throw new DpError("usage", "the reason must be one line of at most 500 characters");
  await lockByHand(app, words === "" ? null : words);
  return statusOf(app);
}

/** Removes the lock; answers what it was, or null when there was none. */
export async function unlock(name: string): Promise<HandLock | null> {
  return unlockByHand(await openApp(name));
}
