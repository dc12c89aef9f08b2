// Version wishes: the formats of .python-version and requires-python.
import { expect, test } from "bun:test";
import {
  compareVersions,
  parseRequiresPython,
  parseSpecifiers,
  parseVersionFile,
  type Version,
} from "../../../lib/apps/python/version.ts";

test.each<[string, Version, boolean]>([
  ["3.11", [3, 11, 2], true],
  ["3.11", [3, 12, 0], false],
  ["3.1", [3, 11, 2], false],
  ["3.11.7", [3, 11, 7], true],
  ["3.11.7", [3, 11, 2], false],
  ["3", [3, 13, 0], true],
  ["python-3.11.4\n", [3, 11, 4], true],
  ["cpython-3.12", [3, 12, 1], true],
  ["# why\n3.12 # newest\r\n", [3, 12, 1], true],
  ["3.13.0\n3.12.1", [3, 12, 1], true],
  ["pypy3.9-7.3\n3.12", [3, 12, 1], true],
  [">=3.10", [3, 9, 18], false],
])("a file with %j, python %j: %p", (text, version, fits) => {
  expect(parseVersionFile(".python-version", text)!.fits(version)).toBe(fits);
});

test.each(["", "# nothing\n", "system"])("a file with %j wishes nothing", (text) => {
  expect(parseVersionFile(".python-version", text)).toBeNull();
});

test.each(["myenv", "2.7", "3.x", "../3.11", "3.11; rm -rf /"])("a file with %j is refused", (text) => {
  expect(() => parseVersionFile("runtime.txt", text)).toThrow(/^runtime\.txt: .* is not a version of python$/);
});

test.each<[string, Version, boolean]>([
  [">=3.9", [3, 9, 0], true],
  [">=3.9,<3.12", [3, 12, 0], false],
  [">=3.9, <3.12", [3, 11, 9], true],
  ["~=3.9", [3, 12, 0], true],
  ["~=3.9", [4, 0, 0], false],
  ["~=3.9.2", [3, 9, 18], true],
  ["~=3.9.2", [3, 10, 0], false],
  ["==3.11.*", [3, 11, 7], true],
  ["==3.11", [3, 11, 7], false],
  ["!=3.11.*", [3, 11, 7], false],
  ["!=3.11.6", [3, 11, 7], true],
  [">3.11", [3, 11, 1], true],
  ["<=3.11", [3, 11, 1], false],
  ["", [3, 6, 0], true],
])("%j, python %j: %p", (text, version, fits) => {
  expect(parseSpecifiers(text)!(version)).toBe(fits);
});

test.each(["^3.9", "3.9", ">=", ">=3.9 || <3", "~=3"])("requires-python %j is refused", (text) => {
  expect(() => parseRequiresPython(text)).toThrow("is not a version specifier");
});

test("versions compare by number, not by letter", () => {
  expect(compareVersions([3, 9, 0], [3, 10, 0])).toBeLessThan(0);
  expect(compareVersions([3, 11, 10], [3, 11, 9])).toBeGreaterThan(0);
  expect(compareVersions([3, 11, 7], [3, 11, 7])).toBe(0);
});
