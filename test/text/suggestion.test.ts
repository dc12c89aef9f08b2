// "did you mean": near words are found, far ones are not proposed.
import { expect, test } from "bun:test";
import { closest, didYouMean } from "../../lib/text/suggestion.ts";

const KEYS = ["name", "type", "healthCheck", "command", "build", "hooks"];

test.each([
  ["healthcheck", "healthCheck"],
  ["health-check", "healthCheck"],
  ["helathCheck", "healthCheck"],
  ["buidl", "build"],
  ["comand", "command"],
  ["hook", "hooks"],
  ["naem", "name"],
  ["environment", null],
  ["xyz", null],
])("%s: %j", (word, expected) => expect(closest(word, KEYS)).toBe(expected));

test("the nearest of several wins, and nothing is nearest of nothing", () => {
  expect(closest("prune", ["tune", "prone", "prunes"])).toBe("prone");
  expect(closest("x", [])).toBeNull();
});

test("as a hint", () => {
  expect(didYouMean("buidl", KEYS)).toEqual({ hint: 'did you mean "build"?' });
  expect(didYouMean("xyz", KEYS)).toEqual({});
});
