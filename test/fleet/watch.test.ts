// When a server of the fleet is asked again: soon after an answer, and ever later while it gives none.
import { expect, test } from "bun:test";
import { waitAfter } from "../../lib/fleet/watch.ts";

test.each([
  [0, 5],
  [1, 5],
  [2, 10],
  [3, 20],
  [4, 30],
  [5, 30],
  [1_000, 30],
])("after %p failures in a row: %p s", (failures, seconds) => expect(waitAfter(failures)).toBe(seconds * 1_000));

test("the pause after an answer is the caller's, that after a failure is not", () => {
  expect([waitAfter(0, 100), waitAfter(1, 100)]).toEqual([100, 5_000]);
});
