// The report of a server and the document of a fleet: their shapes, and the reading of one that came from elsewhere.
import * as v from "valibot";
import { isAppName } from "../paths.ts";
import { isReleaseId } from "../text/ids.ts";
import { shown } from "../text/text.ts";

/** How many runs a report has of each app, and how many minutes. */
export const RUNS = 24;
export const MINUTES = 60;

// A server may be hostile or damaged: texts are cut and lose what a terminal would obey, and numbers, which go into
// drawings, are checked to be numbers.
const text = v.pipe(
  v.string(),
  v.transform((whole) => shown(whole.slice(0, 2_000)).slice(0, 400)),
);
const amount = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
/** Seconds since 1970. */
const time = amount;
const list = <S extends v.GenericSchema>(schema: S, most: number) => v.pipe(v.array(schema), v.maxLength(most));
const releaseId = v.pipe(v.string(), v.check(isReleaseId));
/** The name of a process or job as people type it: it becomes part of a command. */
const process = v.pipe(v.string(), v.regex(/^[A-Za-z][\w-]{0,27}(?:\.[\w-]{1,28})?$/));
const orNull = <S extends v.GenericSchema>(schema: S) => v.nullable(schema);

const room = { used: amount, total: amount };

const failure = v.object({
  id: releaseId,
  /** The step that failed; empty: it is not known. */
  step: text,
  error: text,
  by: text,
  at: time,
  /** The exit code of dp: 9 means that somebody must repair it by hand. */
  code: amount,
});

const app = v.object({
  app: v.pipe(v.string(), v.check(isAppName)),
  type: orNull(text),
  manager: orNull(text),
  url: orNull(text),
  /** The live release, its commit's subject, who put it live and when. */
  live: orNull(releaseId),
  subject: orNull(text),
  by: orNull(text),
  at: orNull(time),
  /** "unknown": what is live, or its state, cannot be told. */
  state: v.picklist(["ok", "down", "deploying", "stopped", "empty", "unknown"]),
  /** The answer to the health check, `200` or `connection refused`; null: not asked. */
  health: orNull(text),
  /** How long that answer took. */
  ms: orNull(amount),
  /** Since when it has been in that state; null: not known. */
  since: orNull(time),
  /** What is wrong, in words; empty: nothing is known to be. */
  detail: text,
  /** Restarts after crashes, of all processes. */
  restarts: amount,
  /** Bytes of memory, of all processes; null: not known. */
  mem: orNull(amount),
  procs: v.object({ running: amount, wanted: amount }),
  /** How many instances of each process are in which state. */
  processes: list(v.object({ process, state: text, count: amount }), 200),
  /** Processes and scheduled jobs other than web that have failed. */
  failing: list(v.object({ process, detail: text }), 200),
  /** The front's counts since it started; null: there is no front, or it does not run. */
  requests: orNull(amount),
  failed: orNull(amount),
  connections: orNull(amount),
  /** [requests, failed] of the last 60 minutes, oldest first; null: the front does not count them. */
  minutes: orNull(v.pipe(v.array(v.tuple([amount, amount])), v.length(MINUTES))),
  /** [milliseconds, state, id] of the last runs, oldest first. */
  runs: list(v.tuple([amount, text, releaseId]), RUNS),
  /** Who has locked it by hand. */
  lock: orNull(v.object({ by: text, since: orNull(time), reason: orNull(text) })),
  /** Who has closed it to its clients; an older dp does not tell. */
  maintenance: v.optional(orNull(v.object({ by: text, since: orNull(time) })), null),
  /** Its certificates: until when, from when on it is late, and why the last renewal failed; null: there is none yet. */
  certs: list(v.object({ name: text, until: orNull(time), late: orNull(time), error: orNull(text) }), 100),
  /** Until when nothing is told of it by a mute of its own; null: it is told. */
  muted: orNull(time),
  /** A push that was accepted and not deployed; null: none. */
  owed: orNull(text),
  deploying: orNull(
    v.object({ id: releaseId, subject: text, by: text, step: text, index: amount, of: amount, began: time }),
  ),
  /** The newest run, if it did not end well. */
  lastFailure: orNull(failure),
});

const finding = v.object({
  app: orNull(v.pipe(v.string(), v.check(isAppName))),
  check: text,
  severity: v.picklist(["error", "warning", "note"]),
  what: text,
});

const report = v.object({
  v: v.literal(1),
  now: time,
  host: text,
  dp: text,
  os: text,
  /** Seconds since it was booted. */
  up: amount,
  /** Of the last minute. */
  load: amount,
  cpus: amount,
  mem: v.object(room),
  /** `inodes`: the share in use, from 0 to 1; null: the file system has no limit. */
  disk: v.object({ ...room, inodes: orNull(amount) }),
  /** The system has to be restarted for an update. */
  reboot: v.boolean(),
  /** Until when nothing is told of the whole server; null: it is told. */
  muted: orNull(time),
  /** What `dp doctor` found, and when; null: it has not looked yet. */
  findings: list(finding, 500),
  findingsAt: orNull(time),
  apps: list(app, 1_000),
});

export type Report = v.InferOutput<typeof report>;
export type AppReport = v.InferOutput<typeof app>;
export type ReportedFinding = v.InferOutput<typeof finding>;

/** One server of a fleet, as the one who asks knows it. */
export interface ServerView {
  /** Its name in fleet.yml. */
  name: string;
  /** Where ssh finds it: `root@203.0.113.5`. */
  address: string;
  /** When it last answered, in seconds since 1970; null: never. */
  seen: number | null;
  /** Why it does not answer now; null: it does. */
  error: string | null;
  /** The last answer; null: there was none. */
  report: Report | null;
}

/** A report that came from elsewhere; a sentence that says what is wrong with it, in place of a wrong one. */
export function readReport(words: string): Report | string {
  let data: unknown;
  try {
    data = JSON.parse(words);
  } catch {
    return "its answer is not a report: no JSON";
  }
  const version = (data as { v?: unknown } | null)?.v;
  if (typeof version === "number" && version > 1) return "its dp is newer than this one: its report is of another form";
  const parsed = v.safeParse(report, data);
  if (parsed.success) return parsed.output;
  const at = shown(v.getDotPath(parsed.issues[0]) ?? "").slice(0, 60);
  return `its answer is not a report${at === "" ? "" : `: ${at} is wrong`}`;
}
