// Runs of alike lines in the excerpt of a log.
import { expect, test } from "bun:test";
import { foldAlike } from "../../lib/text/alike.ts";

test.each([
  ["nothing", [], []],
  ["different lines", ["a", "b", "a", "b"], ["a", "b", "a", "b"]],
  ["few", ["at 1", "at 2", "at 3"], ["at 1", "at 2", "at 3"]],
  [
    "a run at the start",
    ["[12:01] x", "[12:02] x", "[12:03] x", "[12:10] x", "y"],
    ["... 3 lines like this one:", "[12:10] x", "y"],
  ],
  ["a run at the end", ["y", "x1", "x2", "x33", "x4"], ["y", "... 3 lines like this one:", "x4"]],
  [
    "two runs",
    ["x", "x", "x", "x", "y", "y", "y", "y", "y"],
    ["... 3 lines like this one:", "x", "... 4 lines like this one:", "y"],
  ],
  ["empty lines", ["", "", "", "", "x"], ["", "", "", "", "x"]],
])("%s", (_, lines, folded) => {
  expect(foldAlike(lines)).toEqual(folded);
});
