// Columns for people.
import { expect, test } from "bun:test";
import { table, when } from "../../lib/text/table.ts";

test("each column is as wide as its widest cell, and no line ends with a space", () => {
  expect(
    table(
      ["ID", "STATE", ""],
      [
        ["1", "good", "live"],
        ["1000", "x"],
      ],
    ),
  ).toEqual(["ID    STATE", "1     good   live", "1000  x"]);
  expect(table(["A"], [])).toEqual(["A"]);
});

test("times are the server's own", () => {
  const time = new Date(2026, 2, 1, 4, 5);
  expect(when(time.toISOString())).toBe("2026-03-01 04:05");
  expect(when("")).toBe("?");
  expect(when("yesterday")).toBe("?");
});
