// The words of the command line as they were typed.
import { afterEach, expect, test } from "bun:test";
import { DpError } from "../../lib/errors.ts";
import { given, typed, whole } from "../../lib/cli/arguments.ts";

const before = process.argv;
afterEach(() => {
  process.argv = before;
});

test.each([
  [["--to", "007"], "007"],
  [["--to=1e3"], "1e3"],
  [["--to", "12345678901234567890"], "12345678901234567890"],
  [["x", "--to", "a b"], "a b"],
  [["--to="], ""],
  [["-t", "5"], "5"],
  [["--to"], undefined],
  [["--to", "--other"], undefined],
  [["--tool", "5"], undefined],
  [["to", "5"], undefined],
  [[], undefined],
])("%j: %j", (words, expected) => {
  process.argv = ["bun", "dp", ...words];
  expect(typed("--to", "-t")).toBe(expected);
});

test.each([
  ["0", 0],
  ["007", 7],
  ["100", 100],
  [undefined, undefined],
])("%j is the whole number %j", (text, expected) => expect(whole(text, "--n", 100)).toBe(expected));

test.each(["101", "-1", "1.5", "1e2", "0x10", "", " 1", "ten", "9999999999"])("%j is none up to 100", (text) => {
  expect(() => whole(text, "--n", 100)).toThrow(DpError);
  expect(() => whole(text, "--n", 100)).toThrow("--n must be a whole number up to 100");
});

test("a value that is not there leaves its key away", () => {
  expect([given("a", undefined), given("a", null), given("a", 0)]).toEqual([{}, { a: null }, { a: 0 }]);
});
