// A DP_ROOT of a test file's own, for what works below one.
import { afterAll, beforeAll } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Sets DP_ROOT to a temp folder for all tests of the file; answers what tells its path. */
export function ownRoot(prefix: string): () => string {
  const before = process.env["DP_ROOT"];
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), prefix));
    chmodSync(folder, 0o755);
    process.env["DP_ROOT"] = folder;
  });
  afterAll(() => {
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
    rmSync(folder, { recursive: true });
  });
  return () => folder;
}
