// What installers print, and what of it is shown.
import { expect, test } from "bun:test";
import { reasonLines, withoutManual } from "../../../lib/apps/node/commands.ts";

const OUT_OF_STEP = [
  "npm error code EUSAGE",
  "npm error",
  "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.",
  "npm error Missing: lodash@4.18.1 from lock file",
  "npm error",
  "npm error Clean install a project",
  "npm error",
  "npm error Usage:",
  "npm error npm ci",
  "npm error   --install-strategy",
  "npm error A complete log of this run can be found in: /x",
];

const shown = (lines: readonly string[]) => {
  const all: string[] = [];
  lines.forEach(withoutManual((line) => all.push(line)));
  return all;
};

test("npm's manual is not shown, neither as it comes nor in the error", () => {
  const cause = [OUT_OF_STEP[0]!, OUT_OF_STEP[2]!, OUT_OF_STEP[3]!];
  expect(shown(OUT_OF_STEP)).toEqual(cause);
  expect(reasonLines(OUT_OF_STEP.join("\n"))).toEqual(cause);
});

test("all else is shown, but for empty lines", () => {
  expect(shown(["", "added 71 packages in 2s", " ", "npm warn deprecated x", "npm error 404 Not Found"])).toEqual([
    "added 71 packages in 2s",
    "npm warn deprecated x",
    "npm error 404 Not Found",
  ]);
});
