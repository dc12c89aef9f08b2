// Versions of node and bun: which ones a commit asks for, and whether an installed one fits.
import { DpError } from "../../errors.ts";

/** The version that an installed program reports; `lts` is the name of its long-term line ("Iron"), or null. */
export interface Version {
  /** `20.11.1`. */
  text: string;
  lts: string | null;
}

/** A condition on the version and where it was written: `{from: ".nvmrc", text: "20"}`. */
export interface Wish {
  from: string;
  text: string;
  /** The form that `dp runtimes install` takes: `20`, `>=18 <23`. */
  asked: string;
  fits(version: Version): boolean;
}

/** The long-term lines by name, the newest last: no other source has these names. */
const LTS: Readonly<Record<string, string>> = { hydrogen: "18", iron: "20", jod: "22", krypton: "24" };
export const NEWEST_LTS = Object.values(LTS).at(-1)!;

const COMPARATOR = /^(?:[<>]=?|=|\^|~>?)?v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:[-+][\w.+-]+)?$/;

// Bun.semver takes anything that it cannot read for "any version".
/** Whether a text is a range of versions (`>=18 <23`, `^20.11`, `20.x || 22.x`). */
export function isRange(text: string): boolean {
  return text.split("||").every((set) => {
    const words = set
      .trim()
      .replace(/([<>=~^]) +(?=[v\d])/g, "$1")
      .split(/\s+/);
    return words.every((word, index) => COMPARATOR.test(word) || word === "" || (word === "-" && index === 1));
  });
}

/** Higher than any part of a version. */
const FAR = 99_999;

/**
 * Of a range without an upper end (`>=20`), the same range within each long-term line, the newest line first: `>=20
 * 24.x`, `>=20 22.x`. None of any other range: who names 26 gets 26.
 */
export function longTermRanges(range: string): string[] {
  const sets = range.split("||").map((set) => set.trim());
  const open = sets.filter((set) => !set.includes(" - ") && Bun.semver.satisfies(`${FAR}.0.0`, set));
  const lines = Object.values(LTS).toReversed();
  const within = (line: string) => open.filter((set) => Bun.semver.satisfies(`${line}.${FAR}.0`, set));
  const ranges = lines.map((line) => within(line).map((set) => `${set} ${line}.x`));
  return ranges.filter((each) => each.length > 0).map((each) => each.join(" || "));
}

/**
 * Whether a version is in a semver range (`>=18 <23`, `^20.11`, `20.x
 * 22.x`). Throws DpError "config" for an invalid range.
 */
export function inRange(from: string, range: string): (version: Version) => boolean {
  if (isRange(range)) return ({ text }) => Bun.semver.satisfies(text, range);
  throw new DpError("config", `${from}: ${JSON.stringify(range)} is not a range of versions`, {
    hint: 'write one such as ">=20"',
  });
}

/**
 * The condition in a `.nvmrc` or `.node-version` file: `20`, `v20.11.1`, `lts/*`, `lts/iron`. Null when it is empty or
 * allows any version (`node`). Throws DpError "config" when it names no version.
 */
export function parseVersionFile(from: string, content: string): Wish | null {
  const lines = content.split("\n").map((line) => line.replace(/#.*/, "").trim());
  const text = lines.find((line) => line !== "");
  if (text === undefined || /^(?:node|current|latest|stable|system)$/.test(text)) return null;
  const lts = /^lts(?:\/(\*|[a-z]+))?$/i.exec(text);
  if (lts) {
    const line = lts[1] ?? "*";
    const asked = LTS[line.toLowerCase()] ?? NEWEST_LTS;
    return {
      from,
      text,
      asked,
      fits: (version) => version.lts !== null && (line === "*" || sameName(line, version.lts)),
    };
  }
  const number = /^(?:node-)?v?(\d+(?:\.(?:\d+|x)){0,2})$/.exec(text)?.[1];
  if (number !== undefined) return { from, text, asked: number, fits: inRange(from, number) };
  throw new DpError("config", `${from}: ${JSON.stringify(text)} is not a version of node`, {
    hint: "write 20, 20.11.1 or lts/*",
  });
}

const sameName = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** `node 20 (.nvmrc) and >=18 (engines.node in package.json)`, for a message. */
export const describeWishes = (wishes: readonly Wish[]): string =>
  wishes.map(({ from, text }) => `${text} (${from})`).join(" and ");

/** Newest first. */
export const newestFirst = (a: Version, b: Version): number => Bun.semver.order(b.text, a.text);
