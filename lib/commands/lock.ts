// `dp lock`, `dp unlock`, `dp lock status`: nobody changes the app for a while, and what holds it now.
import { DpError } from "../errors.ts";
import { describeHandLock, handLock, lockByHand, unlockByHand, type HandLock } from "../deploy/hand-lock.ts";
import { holder, type Holder } from "../release/history.ts";
import { describeHolder, waitingFor, type Waiting } from "../deploy/queue.ts";
import { openApp } from "../release/app.ts";
import type { NamedApp } from "../contracts/app.ts";

/** What holds an app. */
export interface LockStatus {
  app: string;
  /** Whether anything does. */
  isHeld: boolean;
  /** The lock that somebody set by hand, or null. */
  lock: HandLock | null;
  /** The deploy or command that is under way, or null. */
  running: Holder | null;
  /** Deploys that wait for their turn, oldest first. */
  waiting: Waiting[];
}

/** What holds the app: nobody, a deploy, a lock by hand, or both. */
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

/** Locks an app. Throws DpError "locked" when somebody has, "usage" for a reason that is no line. */
export async function lock(name: string, reason: string | null): Promise<LockStatus> {
  const app = await openApp(name);
  const words = reason?.trim() ?? "";
  if (/\p{Cc}/u.test(words) || words.length > 500)
    throw new DpError("usage", "the reason must be one line of at most 500 characters");
  await lockByHand(app, words === "" ? null : words);
  return statusOf(app);
}

/** Takes the lock away; answers what it was, or null when there was none. */
export async function unlock(name: string): Promise<HandLock | null> {
  return unlockByHand(await openApp(name));
}
