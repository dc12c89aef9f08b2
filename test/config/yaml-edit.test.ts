// Changed YAML: what is not named stays as it was, and every value reads back as it was given.
import { expect, test } from "bun:test";
import { parse } from "yaml";
import { setKeys, yamlScalar, type Scalar } from "../../lib/config/yaml-edit.ts";

const VALUES: Scalar[] = [
  ...[
    "plain",
    "/a:/b",
    "./x y",
    "on",
    "No",
    "null",
    "8000",
    "0x10",
    "1.10",
    "~",
    "",
    " ",
    "a: b",
    "a:",
    "a #b",
    "a ",
    "- a",
  ],
  ...[
    "[x]",
    "{{x}}",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a",
    "'a",
    '"a"',
    "a\nb",
    "ä 🎉",
    'gunicorn --bind "$DP_HOST:$PORT" app:app',
  ],
  ...[8000, 0, true, false],
];

test.each(VALUES)("%j reads back", (value) => {
  expect(parse(`a: ${yamlScalar(value)} # c\n`)).toEqual({ a: value });
  expect(parse(setKeys("a: old # c\nb: 1\n", { a: value }, "x.yml"))).toEqual({ a: value, b: 1 });
  expect(parse(setKeys("b: 1", { a: value }, "x.yml"))).toEqual({ a: value, b: 1 });
});

test("a start command stays readable", () => {
  const command = 'gunicorn --bind "$DP_HOST:$PORT" app:app';
  expect(yamlScalar(command)).toBe(command);
});

test.each([
  ["a: 'x' # c\r\nb: 1\r\n", "a: new # c\r\nb: 1\r\n"],
  ["a:\nb: 1\n", "a: new\nb: 1\n"],
  ["# x\n", "# x\na: new\n"],
  ["", "a: new\n"],
  ["# a: 1\nb: 1\n", "# a: 1\na: new\nb: 1\n"],
  ["# about a: all\nb: 1\n", "# about a: all\nb: 1\na: new\n"],
])("%j becomes %j", (text, edited) => expect(setKeys(text, { a: "new" }, "x.yml")).toBe(edited));

test.each(["{b: 1}", "- a", "a: [1", "a: [1]\n"])("%j is not changed", (text) => {
  expect(() => setKeys(text, { a: "new" }, "x.yml")).toThrow(/^x\.yml: /);
});
