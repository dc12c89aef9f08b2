// The programs that the proxies' sections need: where they are, and Debian's packages of those that are missing.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { plainEnv } from "../../../lib/host/run.ts";

const NEEDED = ["wrk", "nginx", "haproxy", "caddy"];
const POLICY = "/usr/sbin/policy-rc.d";

/** The path of a program, those for root included; null when it is not installed. */
export const programPath = (name: string): string | null =>
  Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` });

/** Installs what is missing where that can be done, and says so before; nothing of it is started as a service. */
export function installMissing(say: (line: string) => void): void {
  const absent = NEEDED.filter((name) => programPath(name) === null);
  if (absent.length === 0) return;
  if (process.getuid?.() !== 0 || programPath("apt-get") === null)
    return say(`not installed, and this user cannot install them: ${absent.join(", ")}`);
  say(`apt-get installs ${absent.join(", ")} on this machine, and they stay`);
  const isOurs = !existsSync(POLICY);
  if (isOurs) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...plainEnv(), DEBIAN_FRONTEND: "noninteractive" };
    const install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", ...absent];
    for (const argv of [["apt-get", "update", "-qq"], install]) {
      const { exitCode, stderr } = Bun.spawnSync(argv, { env, stdin: "ignore" });
      if (exitCode !== 0) return say(`${argv.join(" ")} exited with code ${exitCode}: ${stderr.toString().trim()}`);
    }
  } finally {
    if (isOurs) rmSync(POLICY);
  }
}
