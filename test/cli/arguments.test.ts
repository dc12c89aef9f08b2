// The options of a command as it reads them.
import { expect, test } from "bun:test";
import { DpError } from "../../lib/errors.ts";
import { given, waitOption, textOf, whole } from "../../lib/cli/arguments.ts";

test("an option without its value has no text", () => {
  const options = { from: "007", deploy: true, tty: false };
  expect(["from", "deploy", "tty", "no"].map((name) => textOf(options, name))).toEqual(["007", ...Array(3)]);
});

test.each([
  ["0", 0],
  ["30s", 30_000],
  ["5m", 300_000],
])("--wait %s is %d ms", (wait, expected) => expect(waitOption({ wait })).toEqual({ wait: expected }));

test("--wait that is no time is refused, and without it there is none", () => {
  expect(waitOption({})).toEqual({});
  expect(() => waitOption({ wait: "soon" })).toThrow('--wait must be a time, not "soon"');
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
