import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropBallast, makeBallast } from "../../lib/host/ballast.ts";
import { deployments } from "../../lib/paths.ts";

const before = process.env["DP_ROOT"];
let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "dp-ballast-"));
  process.env["DP_ROOT"] = root;
  mkdirSync(deployments(), { recursive: true });
});
afterEach(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(root, { recursive: true });
});

test("the ballast is made once, takes its room, and leaves no temp file", async () => {
  expect(await makeBallast()).toBe(true);
  expect(await makeBallast()).toBe(false);
  expect(readdirSync(deployments())).toEqual([".ballast"]);
  const { size, mode } = statSync(join(deployments(), ".ballast"));
  expect([size, mode & 0o777]).toEqual([1024 * 1024, 0o600]);
});

test("it is given up for its own disk alone, and once", async () => {
  await makeBallast();
  expect(await dropBallast("/proc")).toBe(false);
  expect(await dropBallast(root)).toBe(true);
  expect(await dropBallast(root)).toBe(false);
  expect(await makeBallast()).toBe(true);
});

test("without a folder for it there is none, and that is no error", async () => {
  rmSync(deployments(), { recursive: true });
  expect(await makeBallast()).toBe(false);
  expect(await dropBallast(root)).toBe(false);
});
