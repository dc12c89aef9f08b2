// What runs an app's cron entries: timers of systemd where it runs, otherwise dp's own scheduler.
import type { NamedApp } from "../contracts/app.ts";
import type { Io } from "../host/io.ts";
import { isService } from "../host/daemon/service.ts";
import { nextTime } from "./next.ts";
import { scheduleOf } from "../config/schedule.ts";
import { isScheduled, setSchedule } from "./supervised.ts";
import { offsetsOf } from "./summer-time.ts";
import { setTimers, timerNext } from "./timers.ts";
import type { CronEntry } from "../config/types.ts";

/** Schedules exactly these entries, also after a reboot. Answers one sentence for each change. */
export const setCron = (app: NamedApp, entries: readonly CronEntry[], io: Io): Promise<string[]> =>
  isService() ? setTimers(app.name, entries, io) : setSchedule(app, entries);

/** The next run of an entry, ISO 8601; null: it is not scheduled. */
export async function nextRun(app: NamedApp, { name, schedule, timeZone }: CronEntry): Promise<string | null> {
  const next = () => nextTime(scheduleOf(schedule), new Date(), timeZone)?.toISOString() ?? null;
  if (!isService()) return isScheduled(app) ? next() : null;
  const elapses = await timerNext(app.name, name);
  // The timer also elapses at moments when the job is not due.
  return elapses !== null && offsetsOf(timeZone).length > 1 ? next() : elapses;
}
