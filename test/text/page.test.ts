// Pages of the documents for a terminal: what is left of Markdown, and how it is wrapped.
import { expect, test } from "bun:test";
import { pageLines } from "../../lib/text/page.ts";

const lines = (markdown: string, width = 40) =>
  pageLines(markdown, width, (target) => (target.endsWith(".md") ? `dp help ${target.slice(0, -3)}` : null));

test.each([
  ["# A `page`", ["A `page`", "========", ""]],
  ["## A part", ["A part", "------", ""]],
  ["One two\nthree.", ["One two three.", ""]],
  ["The step **link** and `**` stay.", ["The step link and `**` stay.", ""]],
  ["See [Logs](logs.md) and [this](#part).", ["See Logs (dp help logs) and this.", ""]],
  ["- one\n- two\n  more", ["- one", "", "- two more", ""]],
  ["<!-- dp help: a, b -->", []],
  ["```sh\n# not a heading\n  | x |\n```", ["    # not a heading", "      | x |", ""]],
])("%j", (markdown, expected) => expect(lines(markdown)).toEqual(expected));

test("text is wrapped, and what follows a list's mark is indented like its first line", () => {
  expect(lines("1. aaaa bbbb cccc dddd eeee ffff gggg hhhh", 24)).toEqual([
    "1. aaaa bbbb cccc dddd",
    "   eeee ffff gggg hhhh",
    "",
  ]);
});

test("a word that is too long keeps its line", () => {
  expect(lines(`a ${"x".repeat(50)} b`, 20)).toEqual(["a", "x".repeat(50), "b", ""]);
});

test("a table is a list: the first cell, what it is, and the other columns by their names", () => {
  const markdown = "| key | what | default |\n|---|---|---|\n| `port` | the [port](front.md) | `8000` |\n";
  expect(lines(markdown, 80)).toEqual(["  `port`", "      the port (dp help front); default: `8000`", ""]);
});

test("an unfinished block ends with the page", () => {
  expect(lines("```\nopen")).toEqual(["    open", ""]);
});
