// What there is of each kind: the files of a folder, found by name.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { DpError } from "../lib/errors.ts";
import { appType, appTypes, manager } from "../lib/registry.ts";
import { stepFile, stepFiles } from "../lib/pipeline/step-files.ts";
import { appTypeNames, managerNames } from "../lib/config/kinds.ts";

const namesIn = (folder: string) =>
  readdirSync(`${import.meta.dir}/../${folder}`)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.replace(/\.ts$/, ""))
    .sort();

test("every file of the folder is an entry", async () => {
  expect(appTypeNames()).toEqual(namesIn("lib/apps"));
  expect(managerNames()).toEqual(namesIn("lib/managers"));
  expect(
    stepFiles()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(namesIn("steps"));
  expect((await appTypes()).map(({ name }) => name)).toEqual(appTypeNames());
});

test.each<[string, () => Promise<unknown>, string, string | undefined]>([
  ["an app type", () => appType("pyton"), 'unknown app type "pyton"; known are ', 'did you mean "python"?'],
  ["a manager", () => manager("systmd"), 'unknown manager "systmd"; known are ', 'did you mean "systemd"?'],
  ["a step", async () => stepFile("swapp"), 'unknown step "swapp"', 'did you mean "swap"?'],
  ["a path", () => manager("../io"), 'unknown manager "../io"', undefined],
  ["what every object has", () => manager("constructor"), "unknown manager", undefined],
])("%s that there is not is refused, with what was meant", async (_, find, words, hint) => {
  const error = (await find().catch((thrown: unknown) => thrown)) as DpError;
  expect(error.exit).toBe("usage");
  expect(error.message).toContain(words);
  expect(error.hint).toBe(hint);
});
