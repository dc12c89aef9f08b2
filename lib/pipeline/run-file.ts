// The run file: one JSON file for each run, shared by all steps; with its journal it is the history, too.
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import * as v from "valibot";
import { codeOf, DpError } from "../errors.ts";
import { writeFileAtomic } from "../host/files.ts";

const STATES = ["running", "ok", "failed", "undone"] as const;

const entry = v.strictObject({
  state: v.picklist(STATES),
  startedAt: v.string(),
  /** Milliseconds that the step took, when it has ended. */
  took: v.optional(v.number()),
  error: v.optional(v.string()),
});

const result = v.strictObject({
  state: v.picklist(["good", "failed", "superseded"]),
  /** The exit code of dp. */
  code: v.number(),
  error: v.optional(v.string()),
  endedAt: v.string(),
});

// v.record would copy every entry. All run files are read at once, and that copying took half of the time.
const facts = v.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "must be an object",
);

// Nearly every journal is right, and to see that takes a fraction of the time of the schemas, which say what is wrong.
const right = v.custom<Record<string, Entry>>(() => true);
const checked = v.record(v.string(), entry);

const file = v.strictObject({
  version: v.literal(1),
  facts,
  /** Step -> its state. "running" after a crash means: run it again. */
  journal: v.lazy((input) => (isJournal(input) ? right : checked)),
  result: v.optional(result),
});

export type Run = v.InferOutput<typeof file>;
export type Entry = v.InferOutput<typeof entry>;
export type RunResult = v.InferOutput<typeof result>;

const states: ReadonlySet<unknown> = new Set(STATES);

const isJournal = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isEntry);

function isEntry(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { state, startedAt, took, error } = value as Partial<Record<keyof Entry, unknown>>;
  if (!states.has(state) || typeof startedAt !== "string") return false;
  if (took !== undefined && typeof took !== "number") return false;
  if (error !== undefined && typeof error !== "string") return false;
  return Object.keys(value).length === 2 + Number("took" in value) + Number("error" in value);
}

/**
 * Reads a run file. Throws DpError "run" when it is missing, unreadable, of another version (reason "version"), or
 * writable by somebody else, because the steps trust it.
 */
export async function load(path: string): Promise<Run> {
  return loadWithStat(path).run;
}

/** The same, with the state of the file that was read. */
export function loadWithStat(path: string): { run: Run; stat: Stats } {
  const { text, stat } = readOwn(path);
  return { run: runIn(path, text), stat };
}

function runIn(path: string, text: string): Run {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new DpError("run", `${path}: not JSON`, { cause });
  }
  const version = (data as { version?: unknown } | null)?.version;
  if (version !== 1)
    throw new DpError("run", `${path}: version ${JSON.stringify(version)}, but this dp reads version 1`, {
      reason: "version",
    });
  const parsed = v.safeParse(file, data);
  if (parsed.success) return parsed.output;
  const lines = parsed.issues.map((issue) => `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
  throw new DpError("run", `${path}: not a run file`, { lines });
}

function readOwn(path: string): { text: string; stat: Stats } {
  let fd;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    const why = codeOf(cause) === "ENOENT" ? "no such run file" : `cannot be read (${codeOf(cause)})`;
    throw new DpError("run", `${path}: ${why}`, {
      hint: "dp begin APP makes one; dp releases APP lists them",
      cause,
    });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new DpError("run", `${path}: not a file`);
    if (stat.uid !== process.getuid?.() || stat.mode & 0o022) {
      throw new DpError("run", `${path}: must belong to you, and nobody else may write it`, {
        hint: `chmod 600 ${path}`,
      });
    }
    return { text: readFileSync(fd, "utf8"), stat };
  } finally {
    closeSync(fd);
  }
}

/** Saves a run file durably. */
export function save(path: string, run: Run): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(run, null, 2)}\n`, 0o600);
}

/** Writes down how a run ended that has nothing left to do. */
export async function conclude(path: string, end: Omit<RunResult, "endedAt">): Promise<void> {
  const run = await load(path);
  run.result = { ...end, endedAt: new Date().toISOString() };
  await save(path, run);
}

/** Creates a run file; throws DpError "run" when it exists. */
export async function create(path: string, facts: Record<string, unknown>): Promise<void> {
  if (existsSync(path)) throw new DpError("run", `${path}: exists already`);
  await save(path, { version: 1, facts, journal: {} });
}

/** One fact of a run, parsed; throws DpError "run" when it is missing or wrong. */
export function factOf<S extends v.GenericSchema>(run: Run, name: string, schema: S): v.InferOutput<S> {
  const parsed = v.safeParse(schema, run.facts[name]);
  if (parsed.success) return parsed.output;
  const why = name in run.facts ? `is wrong: ${parsed.issues[0].message}` : "is missing";
  throw new DpError("run", `fact "${name}" ${why}`);
}
