// Python versions: the one that a file asks for, the one of an interpreter, and whether they fit.
import { DpError } from "../../errors.ts";

/** Major, minor, patch. */
export type Version = readonly [number, number, number];

/** A condition on the interpreter and where it was written: `{from: ".python-version", text: "3.11"}`. */
export interface Wish {
  from: string;
  text: string;
  /** The form that `dp runtimes install` takes: `3.11`, `>=3.10,<3.13`. */
  asked: string;
  fits(version: Version): boolean;
}

/** `3.11.2`. */
export const versionText = (version: Version): string => version.join(".");

/** Negative when `a` is older than `b`, positive when newer, otherwise 0. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

const isPrefix = (prefix: readonly number[], version: Version) =>
  prefix.every((part, index) => part === version[index]);

/**
 * The condition in a `.python-version` or `runtime.txt` file: `3.11`, `3.11.7`, `python-3.11`, `>=3.10`; if it has
 * several lines, any may fit. Null when the file is empty or says `system`. Throws DpError "config" when it names no
 * version.
 */
export function parseVersionFile(from: string, text: string): Wish | null {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
  if (lines.length === 0 || lines[0] === "system") return null;
  const tests = lines.map((line) => lineTest(line)).filter((test) => test !== null);
  const asked = (lines.find((line) => lineTest(line) !== null) ?? "").replace(/^(?:c?python-?)/i, "");
  if (tests.length > 0)
    return { from, text: lines.join(" or "), asked, fits: (version) => tests.some((test) => test(version)) };
  throw new DpError("config", `${from}: ${JSON.stringify(lines[0])} is not a version of python`, {
    hint: "write 3.11 or 3.11.7",
  });
}

function lineTest(line: string): ((version: Version) => boolean) | null {
  if (/^[<>=!~]/.test(line)) return parseSpecifiers(line);
  const match = /^(?:c?python-?)?(3(?:\.\d+){0,2})$/i.exec(line);
  if (!match) return null;
  const prefix = match[1]!.split(".").map(Number);
  return (version) => isPrefix(prefix, version);
}

const CLAUSE = /^(~=|===?|!=|<=|>=|<|>)\s*v?(\d+(?:\.\d+)*)(\.\*)?(?:(?:a|b|rc|\.?dev|\.?post)\d*)?$/i;

/** The test for a PEP 440 specifier set (`>=3.9,<4`, `~=3.11`, `!=3.12.*`), or null for another text. */
export function parseSpecifiers(text: string): ((version: Version) => boolean) | null {
  const clauses = text
    .split(",")
    .map((clause) => clause.trim())
    .filter((clause) => clause !== "");
  const tests = clauses.map((clause) => clauseTest(clause));
  if (tests.includes(null)) return null;
  return (version) => tests.every((test) => test!(version));
}

function clauseTest(clause: string): ((version: Version) => boolean) | null {
  const match = CLAUSE.exec(clause);
  if (!match) return null;
  const parts = match[2]!.split(".").map(Number).slice(0, 3);
  const full: Version = [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0];
  const same = (version: Version) => (match[3] ? isPrefix(parts, version) : compareVersions(version, full) === 0);
  switch (match[1]) {
    case "==":
    case "===":
      return same;
    case "!=":
      return (version) => !same(version);
    case "~=":
      if (parts.length < 2) return null;
      return (version) => compareVersions(version, full) >= 0 && isPrefix(parts.slice(0, -1), version);
    case ">=":
      return (version) => compareVersions(version, full) >= 0;
    case "<=":
      return (version) => compareVersions(version, full) <= 0;
    case ">":
      return (version) => compareVersions(version, full) > 0;
    default:
      return (version) => compareVersions(version, full) < 0;
  }
}

/** The condition in `requires-python`. Throws DpError "config" for an invalid specifier. */
export function parseRequiresPython(text: string): Wish {
  const fits = parseSpecifiers(text);
  if (fits) return { from: "requires-python in pyproject.toml", text, asked: text, fits };
  throw new DpError("config", `pyproject.toml: requires-python ${JSON.stringify(text)} is not a version specifier`, {
    hint: 'write ">=3.11"',
  });
}
