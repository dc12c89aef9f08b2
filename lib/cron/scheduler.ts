// Cron without systemd: one process for each app, which checks every minute which entries are due.
import { join } from "node:path";
import { readText } from "../host/files.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { nextTime } from "./next.ts";
import { scheduleOf } from "../config/schedule.ts";
import type { CronEntry } from "../config/types.ts";

const MINUTE = 60_000;
/** After a longer sleep of the machine, missed runs are skipped, as in every cron. */
const LATE = 3 * MINUTE;
/** Sleeps are never longer, so that a change of the clock is noticed soon. */
const NAP = 5_000;

/** Where the scheduler reads the entries, and what it does when they are due. */
export interface Duty {
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number): Promise<void>;
  entries(): Promise<readonly CronEntry[]>;
  fire(name: string): void;
  isOver(): boolean;
}

/** The entries that are due in the minute that begins at `minute`, in ms. */
export function dueAt(entries: readonly CronEntry[], minute: number): string[] {
  const isDue = ({ schedule, timeZone }: CronEntry) =>
    nextTime(scheduleOf(schedule), new Date(minute - 1), timeZone)?.getTime() === minute;
  return entries.filter(isDue).map(({ name }) => name);
}

/** Fires each entry in its minutes, from the next minute on, until `isOver`. */
export async function keepTime(duty: Duty): Promise<void> {
  const minuteOf = (ms: number) => Math.floor(ms / MINUTE) * MINUTE;
  let last = minuteOf(duty.now());
  while (!duty.isOver()) {
    const [now, next] = [duty.now(), last + MINUTE];
    // The clock was set, forward or back: start again from its current time.
    if (now < last || now - next >= LATE) last = minuteOf(now) - (now < last ? 0 : MINUTE);
    else if (now < next) await duty.sleep(Math.min(next - now, NAP));
    else {
      for (const name of dueAt(await duty.entries(), next)) duty.fire(name);
      last = next;
    }
  }
}

/** The entries that `setCron` wrote to the app's folder of instances. */
async function entriesIn(folder: string): Promise<CronEntry[]> {
  const text = await readText(join(folder, "cron.json"));
  return text === null ? [] : (JSON.parse(text) as CronEntry[]);
}

// An sh that exits at once starts the job, because the job must outlive the scheduler, whose whole process tree is
// stopped with it.
function fire(app: string, name: string): void {
  const argv = [
    "/bin/sh",
    "-c",
    '"$@" </dev/null >/dev/null 2>&1 &',
    "sh",
    ...SELF,
    "cron",
    "run",
    app,
    name,
    "--scheduled",
  ];
  Bun.spawn(argv, { cwd: "/", env: selfEnv(), stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
}

/** The whole program, until it is ended. */
export const main = (app = "", folder = ""): Promise<void> =>
  keepTime({
    now: () => Date.now(),
    sleep: (ms) => Bun.sleep(ms),
    entries: () => entriesIn(folder),
    fire: (name) => fire(app, name),
    isOver: () => false,
  });

if (import.meta.main) void main(process.argv[2], process.argv[3]);
