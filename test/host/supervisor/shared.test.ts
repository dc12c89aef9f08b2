// How many instances one supervisor of many is given.
import { expect, test } from "bun:test";
import { mostInstances } from "../../../lib/host/supervisor/shared.ts";

test.each([
  ["1024", 100],
  ["1048576", 100],
  ["256", 24],
  ["72", 1],
  ["20", 1],
  ["unlimited", 100],
])("with %s open files: %i", (files, most) => {
  const limits = `Max processes             63412                63412                processes
Max open files            ${files.padEnd(20)} 1048576              files
`;
  expect(mostInstances(limits)).toBe(most);
});

test("without /proc: as many as ever", () => expect(mostInstances("")).toBe(100));
