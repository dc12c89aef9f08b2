// The relay as a service of systemd: its unit, its user, and the unit that puts things right after a boot.
import { existsSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readText, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import { deployments, repositories, root } from "../paths.ts";
import { program, SELF } from "../self.ts";
import { systemctl } from "../systemd/systemd.ts";
import { render, template } from "../template.ts";
import { UNITS, unitPath } from "../systemd/unit.ts";
import { idsOf, makeSystemUser } from "../setup/users.ts";

const USER = "dp-relay";
const PROCESS = "lib/relay/process.ts";

/** Whether the relay is a service here: on a server, as root; under DP_ROOT a supervisor keeps it. */
export const isService = () => root() === "" && process.getuid?.() === 0 && existsSync("/run/systemd/system");

const words = (argv: readonly string[]) => argv.map((word) => (word.startsWith("/") ? unitPath(word) : word)).join(" ");

async function unitTexts(folder: string): Promise<Record<string, string>> {
  return {
    "dp-relay.service": render(await template("dp-relay.service"), {
      ...{ user: USER, command: words(program(PROCESS)), folder: unitPath(folder) },
      ...{ deployments: unitPath(deployments()), repositories: unitPath(repositories()) },
    }),
    "dp-reconcile.service": render(await template("dp-reconcile.service"), { command: words(SELF) }),
  };
}

/** Writes units and user where they differ, and starts the relay unless it runs; answers what was changed. */
export async function setUpService(folder: string, isRunning: boolean, io: Io): Promise<string[]> {
  const changes: string[] = [];
  if (await makeSystemUser(USER, folder, io)) changes.push(`made the system user ${USER}`);
  // Its parent must let the relay's user through.
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await chmod(dirname(folder), 0o755);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chown(folder, ...(await idsOf(USER)));
  await chmod(folder, 0o700);
  for (const [name, text] of Object.entries(await unitTexts(folder))) {
    if ((await readText(`${UNITS}/${name}`)) === text) continue;
    await writeFileAtomic(`${UNITS}/${name}`, text, 0o644);
    changes.push(`wrote ${UNITS}/${name}`);
  }
  if (changes.length > 0) {
    await systemctl(["daemon-reload"], io);
    await systemctl(["enable", "dp-relay.service", "dp-reconcile.service"], io);
  }
  // Type=notify: this returns when its sockets accept, those of before among them.
  if (changes.length > 0 || !isRunning) await systemctl([isRunning ? "restart" : "start", "dp-relay.service"], io);
  return changes;
}

/** Restarts the relay with the program that is installed now; no connection is refused. */
export const restartService = (io: Io) => systemctl(["restart", "dp-relay.service"], io);
