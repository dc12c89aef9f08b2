// Errors that a user can cause or cure, and the public exit codes.
import { dirname } from "node:path";

/** Exit codes of every dp command and step. They are public: scripts may rely on them. */
export const EXIT = {
  ok: 0,
  /** A bug in dp, or a refusal that changes nothing (`dp init` over an existing file). */
  bug: 1,
  usage: 2,
  /** deploy.yml, config.yml or the env file is wrong; nothing was changed. */
  config: 3,
  /** The context is missing, unreadable or lacks a fact. */
  context: 4,
  /** Another deploy holds the app, or somebody has locked it; or it is too late to cancel. */
  locked: 5,
  /** A newer deploy goes first, and this one does not run. */
  superseded: 5,
  /** A command failed: git, pip, a hook. Its own code is in the text, never ours. */
  command: 6,
  /** The new release was unhealthy; the old one still serves. Of `dp doctor`: it found an error. */
  unhealthy: 7,
  /** The host lacks a program or a right. */
  host: 8,
  /** The way back failed too: hands are needed. */
  stuck: 9,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitName = keyof typeof EXIT;

/** What a DpError may carry besides its message. */
export interface ErrorDetails {
  /** Lines shown under the message: the tail of a log, the list of problems. */
  lines?: readonly string[];
  /** The command or change that cures it, shown last as "→ …". */
  hint?: string;
  /** A word for code that acts on it, where the exit code says too little. */
  reason?: string;
  cause?: unknown;
}

/** An error whose message is meant for the user. `exit` names its exit code. */
export class DpError extends Error {
  readonly exit: ExitName;
  readonly lines: readonly string[];
  readonly hint: string | undefined;
  readonly reason: string | undefined;

  constructor(exit: ExitName, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = "DpError";
    this.exit = exit;
    this.lines = details.lines ?? [];
    this.hint = details.hint;
    this.reason = details.reason;
  }
}

/** The exit code that an error ends dp with. */
export function exitCodeOf(error: unknown): number {
  return error instanceof DpError ? EXIT[error.exit] : EXIT.bug;
}

/** What a system has against it, and a bug of dp's does not cause. */
const OF_THE_HOST = new Set([
  ...["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "EAGAIN"],
]);
const FULL = new Set(["ENOSPC", "EDQUOT"]);

/** A system error that the host causes, a full disk or a missing right, as DpError "host"; any other error as it is. */
export function hostError(error: unknown): unknown {
  const code = codeOf(error) ?? "";
  if (error instanceof DpError || !OF_THE_HOST.has(code)) return error;
  const { path } = error as { path?: unknown };
  const at = typeof path === "string" ? dirname(path) : "/";
  const hint = FULL.has(code) ? `make room there: df -h ${at}; df -i ${at}` : `see who may write there: ls -ld ${at}`;
  return new DpError("host", messageOf(error), { hint, cause: error });
}

// What Bun advises whoever writes the program, and a user cannot do.
const ADVICE = /\.? (?:Is the computer able to access the url\?|For more information, pass `verbose: true`.*)$/;

/** The message of anything thrown, in one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(ADVICE, "").replace("Was there a typo in the url or port?", "nobody is there");
}

/** The `code` of a system error (`ENOENT`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
