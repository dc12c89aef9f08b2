// What may happen to an app, and what must be live then: a few lines that predict what dp does with thousands.

/** Each kind of event, as often as it comes in turn. */
export const EVENTS = [
  ...(["push", "push", "badPush", "again", "rollback", "restart", "resume", "resume", "reconcile"] as const),
  ...(["killedDeploy", "killedDeploy", "killedDeploy", "killedRollback", "killedRestart", "reboot"] as const),
  ...(["damagedRun", "lostPrevious", "lostCounter", "clockBack"] as const),
];
export type Event = (typeof EVENTS)[number];

/** The app as it must be. What a release says tells it from all others. */
export interface Model {
  /** What the live release says. */
  live: string;
  /** What the tip of the deploy branch says: its last commit that went live by a push. */
  tip: string;
  /** What the good releases say, by ID. */
  good: Map<string, string>;
  /** What the newest run says that was killed, and that nothing has ended since. */
  open: string | null;
  /** Whether all that was killed has been put right since. */
  isSettled: boolean;
  /** Milliseconds that dp's clock is ahead. */
  clock: number;
}

/** What comes of an event: what may be live then, and what is left to be ended. */
export interface Prediction {
  live: string[];
  open: string | null;
  /** The exit code says that it succeeded; null: it may, or not. */
  succeeds: boolean | null;
}

/** Whether an event can happen now. */
export function isPossible(event: Event, { good, open }: Model): boolean {
  if (event === "resume") return open !== null;
  return good.size > 1 || !event.toLowerCase().includes("rollback");
}

/** Whether all is put right after an event; null: as much as before. */
export function settles(event: Event): boolean | null {
  if (event.startsWith("killed")) return false;
  return ["badPush", "lostPrevious", "clockBack"].includes(event) ? null : true;
}

/** What dp makes of an event; `says`: what the release of that event says. */
export function predict(event: Event, { live, tip, open }: Model, says: string): Prediction {
  switch (event) {
    case "push":
    case "rollback":
      return { live: [says], open: null, succeeds: true };
    case "again":
    case "damagedRun":
    case "lostCounter":
      return { live: [tip], open: null, succeeds: true };
    case "badPush":
      return { live: [live], open: null, succeeds: false };
    case "restart":
      return { live: [live], open: null, succeeds: true };
    case "resume":
      return { live: [open ?? live], open: null, succeeds: true };
    // Either release is live, and the run is gone on with by whoever comes next.
    case "killedDeploy":
    case "killedRollback":
    case "killedRestart":
      return { live: [live, says], open: says, succeeds: null };
    case "reboot":
    case "reconcile":
    case "lostPrevious":
    case "clockBack":
      return { live: [live], open, succeeds: true };
  }
}
