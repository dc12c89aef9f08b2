// The contract of a `dp doctor` check: one kind of problem, how it is found and how it is fixed.
import type { Io } from "../host/io.ts";
import type { App } from "./app.ts";

/** Something on the host that differs from what dp writes. */
export interface Drift {
  path: string;
  /** "foreign": made by somebody else, and dp leaves it alone. dp repairs the other kinds. */
  kind: "missing" | "changed" | "foreign";
  /** One sentence without its full stop. */
  what: string;
}

/** A problem, or something that will become one. */
export interface Finding {
  /** "error": broken now. "warning": it may break later, or is not as it should be. "note": somebody wanted it so. */
  severity: "error" | "warning" | "note";
  /** One sentence without its full stop. */
  what: string;
  /** The command that fixes it, as it is typed. */
  command: string;
  /**
   * How `--fix` fixes it, when that is safe: the words of a dp command, or a function that returns one sentence about its
   * change.
   */
  fix?: readonly string[] | (() => Promise<string>);
}

export interface Check {
  /** The subject of the check, in a few words. */
  readonly summary: string;
  /** True: the check is skipped during a deploy, when its result would prove nothing. */
  readonly atRest?: boolean;
  /** The problems of one app. */
  app?(app: App, io: Io): Promise<Finding[]>;
  /** The problems of the server as a whole. */
  server?(io: Io): Promise<Finding[]>;
}

type Severity = Finding["severity"];

/** A finding that a person must fix, who knows more than dp. */
export const byHand = (severity: Severity, what: string, command: string): Finding => ({ severity, what, command });

/** A finding that a dp command fixes, safe at any time. */
export const byCommand = (severity: Severity, what: string, ...words: string[]): Finding => ({
  severity,
  what,
  command: `dp ${words.join(" ")}`,
  fix: words,
});

/** A finding for something that drifted: setup repairs it, but a foreign file must be moved away first. */
export const byDrift = (app: string, { path, kind, what }: Drift): Finding =>
  kind === "foreign"
    ? byHand("error", what, `mv ${path} ${path}.old && dp setup ${app}`)
    : byCommand("error", what, "setup", app);

/** A finding that only `dp doctor APP --fix` fixes. */
export const byDoctor = (severity: Severity, what: string, app: string, fix: () => Promise<string>): Finding => ({
  severity,
  what,
  command: `dp doctor ${app} --fix`,
  fix,
});
