// What a check of `dp doctor` is: one kind of thing that may be wrong, how it is found, and what mends it.
import type { Io } from "../host/io.ts";
import type { App } from "./app.ts";

/** Something on the host that is not as dp makes it. */
export interface Drift {
  path: string;
  /** "foreign": somebody else made what is there, and dp leaves it alone; the rest dp puts right. */
  kind: "missing" | "changed" | "foreign";
  /** One sentence without its dot. */
  what: string;
}

/** Something that is wrong, or will be. */
export interface Finding {
  /** "error": something does not work now. "warning": it will not, or is not as it should be. "note": it is as somebody wants it. */
  severity: "error" | "warning" | "note";
  /** One sentence without its dot. */
  what: string;
  /** What mends it, as it is typed. */
  command: string;
  /** How `--fix` mends it, when that is safe: the words of a dp command, or a change that answers one sentence. */
  fix?: readonly string[] | (() => Promise<string>);
}

export interface Check {
  /** What is looked at, in a few words. */
  readonly summary: string;
  /** While a deploy runs it would prove nothing. */
  readonly atRest?: boolean;
  /** What is wrong with an app. */
  app?(app: App, io: Io): Promise<Finding[]>;
  /** What is wrong with the server as a whole. */
  server?(io: Io): Promise<Finding[]>;
}

type Severity = Finding["severity"];

/** Mended by somebody who knows more than dp. */
export const byHand = (severity: Severity, what: string, command: string): Finding => ({ severity, what, command });

/** Mended by a command of dp that is safe at any time. */
export const byCommand = (severity: Severity, what: string, ...words: string[]): Finding => ({
  severity,
  what,
  command: `dp ${words.join(" ")}`,
  fix: words,
});

/** What drifted: mended by setup, but for what is somebody else's, which is moved away first. */
export const byDrift = (app: string, { path, kind, what }: Drift): Finding =>
  kind === "foreign"
    ? byHand("error", what, `mv ${path} ${path}.old && dp setup ${app}`)
    : byCommand("error", what, "setup", app);

/** Mended by `dp doctor APP --fix` alone. */
export const byDoctor = (severity: Severity, what: string, app: string, fix: () => Promise<string>): Finding => ({
  severity,
  what,
  command: `dp doctor ${app} --fix`,
  fix,
});
