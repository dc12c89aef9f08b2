// The records of apps as a reboot leaves them, for what happens after one without a machine that reboots.
import { readFileSync, writeFileSync } from "node:fs";
import { bootId } from "../../lib/host/process/process.ts";

/** As long as the one of this boot. */
const OTHER_BOOT = bootId().replaceAll(/\w/g, "0");

/** Makes all records of instances in a server's folder of deployments those of another boot. Nothing may run any more. */
export function leaveAsAfterReboot(deployments: string): void {
  for (const path of new Bun.Glob("*/instances/*.json").scanSync({ cwd: deployments, absolute: true }))
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(bootId(), OTHER_BOOT));
}
