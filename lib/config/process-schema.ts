// `processes` and `cron` of deploy.yml: the processes other than web, and the scheduled jobs.
import * as v from "valibot";
import { parseSchedule } from "./schedule.ts";
import { isProcessName } from "../text/ids.ts";
import { claim, duration, mapping, must, shellLine } from "./field.ts";

const nameWords = must(
  'a name such as worker: a letter, then letters, digits, "-" and "_", 28 characters at most, and not cron or release',
);

const processCheck = v.pipe(
  mapping({
    stayUp: v.exactOptional(
      duration("1s", "10m", "How long a new process must run without exiting before it counts as healthy."),
    ),
    command: v.exactOptional(
      v.pipe(
        shellLine(),
        v.description("Instead: a shell line, run with the process's environment; healthy if it exits with code 0."),
      ),
    ),
    timeout: v.exactOptional(duration("100ms", "10m", "How long one run of it may take. Default: 5s.")),
    interval: v.exactOptional(duration("50ms", "60s", "The pause between two tries. Default: 1s.")),
    startTimeout: v.exactOptional(
      duration("1s", "15m", "How long it may take from the start to the first good run. Default: 60s."),
    ),
  }),
  v.check((check) => check.stayUp !== undefined || check.command !== undefined, "needs stayUp or command"),
  v.check(
    ({ stayUp, ...command }) => stayUp === undefined || Object.keys(command).length === 0,
    "keep either stayUp or command",
  ),
  v.description("How a new process proves that it is healthy. Default: it stays up for 3s."),
  v.transform(({ stayUp, command = "", timeout = 5_000, interval = 1_000, startTimeout = 60_000 }) =>
    stayUp === undefined ? { command, timeout, interval, startTimeout } : { stayUp },
  ),
);

const processMapping = mapping({
  command: v.pipe(shellLine(), v.description("The shell line that starts the process."), v.examples(["./worker.sh"])),
  healthCheck: v.optional(processCheck, { stayUp: "3s" }),
  overlap: v.optional(
    v.pipe(claim(), v.description("true: the new process starts before the old one is stopped. false: after it.")),
    false,
  ),
  stopTimeout: v.exactOptional(
    duration(
      "1s",
      "1h",
      "Time from SIGTERM to SIGKILL, to finish the current job. Default: stopTimeout of config.yml.",
    ),
  ),
});

const oneProcess = v.pipe(
  v.union([shellLine(), processMapping], must("a shell line, or a mapping with command")),
  v.transform((process) => (typeof process === "string" ? v.parse(processMapping, { command: process }) : process)),
);

/** `processes`: name -> shell line, or mapping. */
export const processes = v.pipe(
  v.record(
    v.pipe(v.string(), v.check(isProcessName, nameWords)),
    oneProcess,
    must("a mapping of names to shell lines"),
  ),
  v.description("The app's processes: name and shell line. web is the one that listens on $PORT."),
);

const scheduleText = v.pipe(
  v.string(must('a cron line such as "*/5 * * * *"')),
  v.rawCheck(({ dataset, addIssue }) => {
    const found = dataset.typed ? parseSchedule(dataset.value) : null;
    if (typeof found === "string") addIssue({ message: found });
  }),
  v.description(
    "Minute, hour, day of the month, month, day of the week, as in crontab(5); or @hourly, @daily and so on.",
  ),
  v.examples(["*/5 * * * *"]),
);

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: zone });
    return /^[A-Za-z]/.test(zone);
  } catch {
    return false; // rangeError: unknown time zone
  }
}
const zoneWords = must("a time zone such as Europe/Berlin");

const entry = v.pipe(
  mapping({
    schedule: scheduleText,
    command: v.pipe(
      shellLine(),
      v.description("The shell line that is run, in the live release, with its environment."),
      v.examples(["./cleanup.sh"]),
    ),
    name: v.exactOptional(
      v.pipe(
        v.string(nameWords),
        v.check(isProcessName, nameWords),
        v.description("The name in logs and for dp cron run. Default: made from the command."),
      ),
    ),
    timeZone: v.exactOptional(
      v.pipe(
        v.string(zoneWords),
        v.check(isTimeZone, zoneWords),
        v.description("The time zone of the schedule. Default: the server's."),
      ),
    ),
  }),
  v.transform((given) => ({ ...given, name: given.name ?? nameFrom(given.command) })),
);

/** A name for an entry without one, from its command: `python-manage-py-cleanup`. */
export function nameFrom(command: string): string {
  const words = command.replace(/[^A-Za-z0-9]+/g, "-").replace(/^[^A-Za-z]+/, "");
  const name = words.toLowerCase().slice(0, 28).replace(/-+$/, "");
  return isProcessName(name) ? name : "job";
}

/** `cron`: the scheduled jobs. */
export const cron = v.pipe(
  v.array(entry, must("a list of entries with schedule and command")),
  v.maxLength(100, "has more than 100 entries"),
  v.description("Scheduled jobs, run in the live release."),
);
