import { afterAll, beforeAll, describe } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import haproxy from "../../lib/fronts/haproxy.ts";
import { haproxyProgram } from "../../lib/haproxy/places.ts";
import { frontContract } from "./contract.ts";

// In a server of its own it is a service of systemd: test/haproxy/box.test.ts.
const isInside = process.env["DP_TEST_INSIDE"] === "1";
const before = process.env["DP_ROOT"];
let folder: string;
const why = haproxyProgram() === null ? "haproxy is not installed" : null;
// A run must not go green by skipping.
if (why !== null && process.env["CI"] === "true" && process.getuid!() === 0) throw new Error(why);

beforeAll(() => {
  if (isInside) return;
  folder = mkdtempSync(join(tmpdir(), "dp-haproxy-"));
  chmodSync(folder, 0o755);
  process.env["DP_ROOT"] = folder;
});

afterAll(() => {
  if (isInside) return;
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

describe.skipIf(why !== null)(`the contract${why === null ? "" : ` (skipped: ${why})`}`, () => {
  frontContract(() => ({ front: haproxy }));
});
