// Durations: what is one, and how long it is.
import { expect, test } from "bun:test";
import { durationText, milliseconds } from "../../lib/config/duration.ts";

test.each([
  ["0s", 0],
  ["500ms", 500],
  ["5s", 5000],
  ["90s", 90_000],
  ["2m", 120_000],
  ["1h", 3_600_000],
])("%s is %d ms", (text, ms) => expect(milliseconds(text)).toBe(ms));

test.each(["", "5", "5 s", "05s", "1.5s", "-1s", "1e3s", "5S", "1d", "5s\n", "9999999999s"])("%j is none", (text) =>
  expect(milliseconds(text)).toBeNull(),
);

test.each([
  [0, "0ms"],
  [500, "500ms"],
  [5000, "5s"],
  [90_000, "90s"],
  [120_000, "2m"],
  [7_200_000, "2h"],
])("%d ms is written %s", (ms, text) => expect(durationText(ms)).toBe(text));
