// A server as it comes: Debian with sshd, without dp and without what dp needs; and the laptop's dp, typed in a folder.
import { resolve } from "node:path";
import { type Box, startBox } from "./box.ts";
import type { Laptop, Outcome } from "./server-laptop.ts";

const DP = resolve(import.meta.dir, "../../bin/dp");
/** What an image of a test server has that a fresh Debian has not. */
const EXTRA = ["git", "git-man", "python3", "python3-minimal", "curl", "iproute2"];

/** Boots a server that has nothing but sshd, sudo, and apt without its lists. */
export async function startBareBox(name: string): Promise<Box> {
  const box = await startBox(name);
  try {
    await box.must(["apt-get", "purge", "-qq", "-y", "--autoremove", ...EXTRA]);
    await box.must(
      "rm -rf /var/lib/apt/lists/* && ! command -v git && ! command -v python3 && ! command -v dp && command -v sshd",
    );
  } catch (error) {
    await box.stop();
    throw error;
  }
  return box;
}

/** Types dp in the laptop's folder. A failure is an answer; stdout is what it printed there alone. */
export async function type(
  laptop: Pick<Laptop, "dir" | "env">,
  words: readonly string[],
  { dp = DP, env = {} }: { dp?: string; env?: Record<string, string> } = {},
): Promise<Outcome & { stdout: string }> {
  const begun = performance.now();
  const bun = [
    process.execPath,
    "--no-env-file",
    "--config=/dev/null",
    "--tsconfig-override=/dev/null",
    "--no-install",
  ];
  const child = Bun.spawn([...(dp === DP ? bun : []), dp, ...words], {
    cwd: laptop.dir,
    env: { ...laptop.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, text: stdout + stderr, ms: performance.now() - begun };
}
