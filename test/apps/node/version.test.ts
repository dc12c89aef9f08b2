// What .nvmrc, .node-version and engines wish, and which versions that is.
import { expect, test } from "bun:test";
import type { DpError } from "../../../lib/errors.ts";
import {
  inRange,
  longTermRanges,
  newestFirst,
  parseVersionFile,
  type Version,
} from "../../../lib/apps/node/version.ts";

const version = (text: string, lts: string | null = null): Version => ({ text, lts });
const iron = version("20.20.2", "Iron");
const odd = version("23.1.0");

test.each<[string, Version, boolean]>([
  ["20", iron, true],
  ["20\n", odd, false],
  ["v20.20.2", iron, true],
  ["20.20.1", iron, false],
  ["20.20", iron, true],
  ["20.x", iron, true],
  ["node-v20", iron, true],
  ["# ours\n 23 # for the tests\n", odd, true],
  ["lts/*", iron, true],
  ["lts", iron, true],
  ["lts/*", odd, false],
  ["lts/iron", iron, true],
  ["lts/Iron", iron, true],
  ["lts/jod", iron, false],
  ["22", iron, false],
])("the file %j and node %j: %p", (text, found, fits) => {
  const wish = parseVersionFile(".nvmrc", text)!;
  expect(wish.from).toBe(".nvmrc");
  expect(wish.fits(found)).toBe(fits);
});

test.each(["", "# nothing\n", "node", "current", "latest", "stable", "system"])(
  "the file %j wishes nothing",
  (text) => {
    expect(parseVersionFile(".nvmrc", text)).toBeNull();
  },
);

const refusal = (action: () => unknown): DpError => {
  try {
    action();
  } catch (error) {
    return error as DpError;
  }
  throw new Error("accepted");
};

test.each(["twenty", "20 21", "lts/-1", ">=20", "20.1.2.3"])("the file %j is refused", (text) => {
  const error = refusal(() => parseVersionFile(".node-version", text));
  expect(error).toMatchObject({ exit: "config", hint: "write 20, 20.11.1 or lts/*" });
  expect(error.message).toStartWith(".node-version: ");
});

test.each<[string, boolean]>([
  [">=18", true],
  [">= 18.0.0 <21", true],
  ["18 || 20", true],
  ["^20.11", true],
  ["~20.20.0", true],
  ["18 - 20", true],
  ["20.x", true],
  ["*", true],
  ["", true],
  ["v20", true],
  [">=22", false],
  ["<20", false],
  ["^18 || >=22", false],
])("engines %j fits 20.20.2: %p", (range, fits) => {
  expect(inRange("engines.node", range)(iron)).toBe(fits);
});

test.each(["latest", "twenty", ">=20 please", "lts/*", "foo||20"])("engines %j is no range", (range) => {
  const error = refusal(() => inRange("engines.node in package.json", range));
  expect(error).toMatchObject({ exit: "config", message: expect.stringContaining(JSON.stringify(range)) });
});

test.each<[string, string[]]>([
  [">=20", [">=20 24.x", ">=20 22.x", ">=20 20.x"]],
  [">= 22.3", [">= 22.3 24.x", ">= 22.3 22.x"]],
  ["18 || >=22", [">=22 24.x", ">=22 22.x"]],
  ["*", ["* 24.x", "* 22.x", "* 20.x", "* 18.x"]],
  ...[">=25", "26", "^25", "20.11.1", "v20", ">=20 <27", "20.x || 22.x", "18 - 26", "18 || >=99"].map(
    (range): [string, string[]] => [range, []],
  ),
])("the long-term lines of %j", (range, wanted) => {
  expect(longTermRanges(range)).toEqual(wanted);
});

test("the newest comes first, by number and not by letter", () => {
  const sorted = ["9.0.0", "20.2.0", "20.11.1"].map((text) => version(text)).sort(newestFirst);
  expect(sorted.map(({ text }) => text)).toEqual(["20.11.1", "20.2.0", "9.0.0"]);
});
