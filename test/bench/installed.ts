// dp as its users have it: installed by install.sh, in a folder of its own that is gone afterwards.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainEnv } from "../../lib/run.ts";
import { project } from "../support/sandbox.ts";

/** Installs dp with the Bun that runs this, and hands over its path. Throws when it cannot be installed. */
export async function withInstalled<T>(use: (dp: string) => Promise<T>): Promise<T> {
  const prefix = realpathSync(mkdtempSync(join(tmpdir(), "dp-bench-installed-")));
  try {
    const { exitCode, stderr } = Bun.spawnSync([join(project, "install.sh"), "--prefix", prefix], {
      env: { ...plainEnv(), DP_BUN: process.execPath },
      stdin: "ignore",
    });
    if (exitCode !== 0) throw new Error(`install.sh exited with ${exitCode}:\n${stderr.toString()}`);
    return await use(join(prefix, "bin/dp"));
  } finally {
    rmSync(prefix, { recursive: true, force: true });
  }
}
