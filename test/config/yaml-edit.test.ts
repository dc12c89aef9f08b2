// Changed YAML: what is not named stays as it was, and every value reads back as it was given.
import { expect, test } from "bun:test";
import { parse } from "yaml";
import { setInner, setKeys, yamlScalar, type Scalar } from "../../lib/config/yaml-edit.ts";

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

test.each([
  ["", "scale: {worker: 2}\n"],
  ["port: 1 # c\n", "port: 1 # c\nscale: {worker: 2}\n"],
  ["# scale: {worker: 2}\nport: 1\n", "# scale: {worker: 2}\nscale: {worker: 2}\nport: 1\n"],
  ["scale: {}\n", "scale: {worker: 2}\n"],
  ["scale:\nport: 1\n", "scale: {worker: 2}\nport: 1\n"],
  ["scale: {worker: 1} # c\n", "scale: {worker: 2} # c\n"],
  ["scale: { clock: 0 }\nport: 1\n", "scale: { clock: 0, worker: 2}\nport: 1\n"],
  [
    "scale:\n  # two are enough\n  worker: 1 # for now\nport: 1\n",
    "scale:\n  # two are enough\n  worker: 2 # for now\nport: 1\n",
  ],
  ["scale:\n  # never two\n  clock: 1\nport: 1\n", "scale:\n  # never two\n  worker: 2\n  clock: 1\nport: 1\n"],
])("a value inside a mapping: %j becomes %j", (text, edited) => {
  expect(setInner(text, "scale", { worker: 2 }, "x.yml")).toBe(edited);
  expect(parse(edited).scale.worker).toBe(2);
});

test("several values inside a mapping, one after the other", () => {
  expect(setInner("", "scale", { worker: 2, clock: 0 }, "x.yml")).toBe("scale: {worker: 2, clock: 0}\n");
});

test.each(["scale: 2\n", "scale: [a]\n", "- a"])("%j has no such mapping", (text) => {
  expect(() => setInner(text, "scale", { worker: 2 }, "x.yml")).toThrow(/^x\.yml: /);
});
