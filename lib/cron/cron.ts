// What runs an app's cron entries: timers of systemd on a server that has it, else a scheduler of dp's own.
import type { NamedApp } from "../contracts/app.ts";
import type { Io } from "../host/io.ts";
import { isService } from "../host/daemon/service.ts";
import { nextTime } from "./next.ts";
import { scheduleOf } from "../config/schedule.ts";
import { isScheduled, setSchedule } from "./supervised.ts";
import { offsetsOf } from "./summer-time.ts";
import { setTimers, timerNext } from "./timers.ts";
import type { CronEntry } from "../config/types.ts";

/** Makes exactly these entries run by the clock, also after a reboot. Answers one sentence for each change. */
export const setCron = (app: NamedApp, entries: readonly CronEntry[], io: Io): Promise<string[]> =>
  isService() ? setTimers(app.name, entries, io) : setSchedule(app, entries);

/** When an entry runs next, ISO 8601; null: nothing will run it. */
export async function nextRun(app: NamedApp, { name, schedule, timeZone }: CronEntry): Promise<string | null> {
  const next = () => nextTime(scheduleOf(schedule), new Date(), timeZone)?.toISOString() ?? null;
  if (!isService()) return isScheduled(app) ? next() : null;
  const elapses = await timerNext(app.name, name);
  // The timer also elapses where the job is not due.
  return elapses !== null && offsetsOf(timeZone).length > 1 ? next() : elapses;
}
