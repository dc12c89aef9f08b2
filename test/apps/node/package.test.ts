// A package.json as it may be pushed: what is no fault of dp is said with the file's name.
import { expect, test } from "bun:test";
import { parsePackage } from "../../../lib/apps/node/package.ts";

test.each([
  ["a name", '{"name": "a\\u0000b"}'],
  ["a script", '{"scripts": {"start": "node\\u0000"}}'],
  ["a key", '{"config": {"a\\u0000": 1}}'],
  ["a list", '{"workspaces": ["a\\u0000"]}'],
])("a NUL in %s is refused", (_, source) => {
  expect(() => parsePackage(source, "a/package.json")).toThrow(
    expect.objectContaining({ exit: "config", message: "a/package.json: has a NUL character (\\u0000)" }),
  );
});

test("the letters of one are none", () => {
  expect(parsePackage('{"name": "a\\\\u0000"}').name).toBe("a\\u0000");
});

test("one that is nested without end is refused", () => {
  const source = `{"pnpm": ${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
  expect(() => parsePackage(source)).toThrow(expect.objectContaining({ exit: "config" }));
});
