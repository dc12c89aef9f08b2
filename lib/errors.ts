// Errors that a user can cause or fix, and the public exit codes.
import { dirname } from "node:path";

/** Exit codes of every dp command and step. They are public: scripts may rely on them. */
export const EXIT = {
  ok: 0,
  /** A bug in dp, or a refusal that changes nothing (`dp init` over an existing file). */
  bug: 1,
  usage: 2,
  /** deploy.yml, config.yml or the env file is wrong; nothing was changed. */
  config: 3,
  /** The run file is missing, unreadable or lacks a fact. */
  run: 4,
  /** Another deploy holds the lock, somebody has locked the app, or it is too late to cancel. */
  locked: 5,
  /** A newer deploy takes precedence, so this one does not run. */
  superseded: 5,
  /** A command failed: git, pip, a hook. Its own exit code is in the message and is never dp's. */
  command: 6,
  /** The new release was unhealthy and the old one still serves; for `dp doctor`: it found an error. */
  unhealthy: 7,
  /** The host lacks a program or a right. */
  host: 8,
  /** The rollback failed too: somebody must repair it by hand. */
  stuck: 9,
  /** Nobody reads the output any more: a client that is gone, or `| head`. As a shell reports SIGHUP. */
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitName = keyof typeof EXIT;

/** The details of a DpError besides its message. */
export interface ErrorDetails {
  /** Lines printed below the message: the end of a log, the list of problems. */
  lines?: readonly string[];
  /** The command or change that fixes it, printed last as "→ …". */
  hint?: string;
  /** A word for code that handles the error, where the exit code is not specific enough. */
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

/** The exit code of dp for an error. */
export function exitCodeOf(error: unknown): number {
  return error instanceof DpError ? EXIT[error.exit] : EXIT.bug;
}

/** Errno codes caused by the host, not by a bug in dp. */
const OF_THE_HOST = new Set([
  ...["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "EAGAIN"],
]);
const FULL = new Set(["ENOSPC", "EDQUOT"]);

/**
 * Turns a system error caused by the host (a full disk, a missing right) into DpError "host"; returns any other error
 * unchanged.
 */
export function hostError(error: unknown): unknown {
  const code = codeOf(error) ?? "";
  if (error instanceof DpError || !OF_THE_HOST.has(code)) return error;
  const { path } = error as { path?: unknown };
  const at = typeof path === "string" ? dirname(path) : "/";
  const hint = FULL.has(code) ? `make room there: df -h ${at}; df -i ${at}` : `see who may write there: ls -ld ${at}`;
  return new DpError("host", messageOf(error), { hint, cause: error });
}

// Bun's advice to programmers, which does not help a user.
const ADVICE = /\.? (?:Is the computer able to access the url\?|For more information, pass `verbose: true`.*)$/;

/** The message of any thrown value, in one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(ADVICE, "").replace("Was there a typo in the url or port?", "nobody is there");
}

/** The `code` of a system error (`ENOENT`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
