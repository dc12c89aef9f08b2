// The audit log: one line for each change to an app, with who made it and how it ended. It is append-only and outlives
// the app.
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { codeOf, EXIT, messageOf } from "../errors.ts";
import { root } from "../paths.ts";
import { jsonText } from "../text/text.ts";
import { tryFlock } from "./process/libc.ts";
import type { Who } from "./who.ts";

/** One line, as JSON. It holds no secrets: no values, arguments or error texts. */
export interface AuditLine extends Who {
  /** When the action ended, in ISO 8601. */
  time: string;
  app: string;
  /** `deploy`, `lock`, `env set` ... */
  what: string;
  run?: string;
  sha?: string;
  /** The step at which a run failed. */
  step?: string;
  /** The name of a one-off command, the names of settings, or the release that a rollback went to. */
  detail?: string;
  result: "ok" | "failed" | "refused" | "superseded" | "stopped";
  /** The exit code. */
  code: number;
}

/** When the file has this many bytes (about twenty thousand lines), it is renamed to `.1`. */
const MOST = 4 * 1024 * 1024;
/** The number of older files that are kept. */
const KEPT = 4;

const fileOf = () => `${root()}/var/log/deployments/audit.log`;

/** The files of the audit log, oldest first, including those that do not exist yet. */
export const auditFiles = () => [
  ...Array.from({ length: KEPT }, (_, index) => `${fileOf()}.${KEPT - index}`),
  fileOf(),
];

/** What an exit code means in the log. */
export function resultOf(code: number): AuditLine["result"] {
  if (code === EXIT.ok) return "ok";
  if (code === EXIT.locked) return "refused";
  return code === EXIT.interrupted || code === EXIT.terminated ? "stopped" : "failed";
}

/** Writes a line. A line that cannot be written is lost with a warning; the command does not fail. */
export function audit(line: Omit<AuditLine, "time">, warn: (message: string) => void): void {
  try {
    append(fileOf(), `${jsonText({ time: new Date().toISOString(), ...line })}\n`, MOST, warn);
  } catch (error) {
    warn(`the audit log misses a line, ${codeOf(error) ?? messageOf(error)}: ${fileOf()}`);
  }
}

/** Appends a line with one write, so that lines of several processes do not mix. A file of `most` bytes is rotated. */
export function append(file: string, line: string, most: number, warn: (message: string) => void): void {
  const fd = openLog(file);
  try {
    const text = endsInside(fd) ? `\n${line}` : line;
    if (writeSync(fd, text) < Buffer.byteLength(text)) throw new Error("the disk is full");
    if (fstatSync(fd).size >= most) putAside(fd, file, warn);
  } finally {
    closeSync(fd);
  }
}

function openLog(file: string): number {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    return openSync(file, flags, 0o640);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    return openSync(file, flags, 0o640);
  }
}

// After a full disk the file may end in half a line, which must not spoil the next one.
function endsInside(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last.toString() !== "\n";
}

// A process that opened the file earlier goes on writing into it under its new name. If two want to rotate it, the one
// with the lock does; the other finds a new file there, or none yet.
function putAside(fd: number, file: string, warn: (message: string) => void): void {
  if (!tryFlock(fd) || statSync(file, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) return;
  const oldest = `${file}.${KEPT}`;
  if (statSync(oldest, { throwIfNoEntry: false }))
    warn(`the audit log is full and its oldest lines are removed: keep copies of ${file}.1 elsewhere`);
  for (let number = KEPT; number > 1; number--) {
    const from = `${file}.${number - 1}`;
    if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${file}.${number}`);
  }
  renameSync(file, `${file}.1`);
}
