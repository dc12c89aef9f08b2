// The audit log: one line for each change of an app, by whom and how it ended. Only ever appended to, and it outlives the app.
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

/** One line, as JSON. Nothing in it is a secret: no values, no arguments, no text of errors. */
export interface AuditLine extends Who {
  /** ISO 8601: when it had ended. */
  time: string;
  app: string;
  /** `deploy`, `lock`, `env set` ... */
  what: string;
  run?: string;
  sha?: string;
  /** The step at which a run failed. */
  step?: string;
  /** The name of a one-off command, the names of settings, the release that a rollback went to. */
  detail?: string;
  result: "ok" | "failed" | "refused" | "superseded" | "stopped";
  /** The exit code. */
  code: number;
}

/** A file holds that many bytes, about twenty thousand lines, and is then put aside as `.1`. */
const MOST = 4 * 1024 * 1024;
/** So many are kept aside. */
const KEPT = 4;

const fileOf = () => `${root()}/var/log/deployments/audit.log`;

/** The files of the audit log, oldest first, whether they are there or not. */
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

/** Writes a line. What cannot be written is lost with a warning: no command fails for it. */
export function audit(line: Omit<AuditLine, "time">, warn: (message: string) => void): void {
  try {
    append(fileOf(), `${jsonText({ time: new Date().toISOString(), ...line })}\n`, MOST, warn);
  } catch (error) {
    warn(`the audit log misses a line, ${codeOf(error) ?? messageOf(error)}: ${fileOf()}`);
  }
}

/** Appends a line by one write, so that those of several processes do not mix; from `most` bytes on the file is put aside. */
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

// Half a line of a disk that was full then must not spoil the next one.
function endsInside(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last.toString() !== "\n";
}

// Who has opened the file before goes on writing into it under its new name. Of two that would put it aside, the one
// with the lock does, and the other finds another file in its place.
function putAside(fd: number, file: string, warn: (message: string) => void): void {
  if (!tryFlock(fd) || statSync(file).ino !== fstatSync(fd).ino) return;
  const oldest = `${file}.${KEPT}`;
  if (statSync(oldest, { throwIfNoEntry: false }))
    warn(`the audit log is full and its oldest lines are removed: keep copies of ${file}.1 elsewhere`);
  for (let number = KEPT; number > 1; number--) {
    const from = `${file}.${number - 1}`;
    if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${file}.${number}`);
  }
  renameSync(file, `${file}.1`);
}
