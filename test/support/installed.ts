// dp as its users have it: installed by install.sh, in a folder of its own that is gone afterwards.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { plainEnv } from "../../lib/host/run.ts";

const project = resolve(import.meta.dir, "../..");

/** The variable that names the installed dp of a test run: it starts in half the time that the clone's takes. */
const INSTALLED = "DP_TEST_INSTALLED";

/** The path of the dp that tests run: the installed one of the test run, or the clone's. */
export const tested = (): string => process.env[INSTALLED] ?? join(project, "bin/dp");

/** The program itself, for who starts it by a Bun with options of its own. */
export const programOf = (dp: string): string =>
  dp === join(project, "bin/dp") ? dp : join(dirname(dp), "../share/dp/bin/dp");

/** Installs dp with the Bun that runs this, and hands over its path. Throws when it cannot be installed. */
export async function withInstalled<T>(use: (dp: string) => Promise<T>): Promise<T> {
  const prefix = realpathSync(mkdtempSync(join(tmpdir(), "dp-installed-")));
  try {
    chmodSync(prefix, 0o755); // apps of other users run steps of it
    const { exitCode, stderr } = Bun.spawnSync([join(project, "install.sh"), "--prefix", prefix], {
      env: { ...plainEnv(), DP_BUN: process.execPath },
      stdin: "ignore",
    });
    if (exitCode !== 0) throw new Error(`install.sh exited with code ${exitCode}:\n${stderr.toString()}`);
    return await use(join(prefix, "bin/dp"));
  } finally {
    rmSync(prefix, { recursive: true, force: true });
  }
}

/** Runs `use` with an installed dp as the one that tests run; in a run of tests within another one with that one's. */
export async function withTested<T>(use: () => Promise<T>): Promise<T> {
  if (process.env[INSTALLED]) return use();
  return withInstalled(async (dp) => {
    process.env[INSTALLED] = dp;
    try {
      return await use();
    } finally {
      delete process.env[INSTALLED];
    }
  });
}
