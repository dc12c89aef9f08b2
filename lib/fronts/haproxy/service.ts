// HAProxy as a systemd service, dp-haproxy, beside Debian's own haproxy.service, which dp never touches.
import { existsSync } from "node:fs";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { serviceDrift } from "../../host/daemon/service.ts";
import { systemctl } from "../../host/systemd/systemd.ts";
import { render, template } from "../../host/template.ts";
import { UNITS, unitPath } from "../../host/systemd/unit.ts";
import { deployments, repositories } from "../../paths.ts";
import { filesOf, haproxyProgram, USER } from "./places.ts";

const UNIT = "dp-haproxy.service";
const path = `${UNITS}/${UNIT}`;

async function unitText(): Promise<string> {
  const { config, socket } = filesOf();
  return render(await template(`haproxy/${UNIT}`), {
    program: unitPath(haproxyProgram() ?? "haproxy"),
    user: USER,
    config: unitPath(config),
    socket: unitPath(socket),
    deployments: unitPath(deployments()),
    repositories: unitPath(repositories()),
  });
}

/** One sentence when the unit is not as this dp writes it, or is not known to systemd. */
export const unitDrift = async () => serviceDrift({ [UNIT]: await unitText() });

/** Writes the unit if it differs and enables it at boot; returns what was changed. */
export async function setUpService(io: Io): Promise<string[]> {
  if ((await unitDrift()).length === 0) return [];
  const text = await unitText();
  const isWritten = (await readText(path)) === text;
  if (!isWritten) await writeFileAtomic(path, text, 0o644);
  await systemctl(["daemon-reload"], io);
  await systemctl(["enable", UNIT], io);
  return [isWritten ? `told systemd about ${path}` : `wrote ${path}`];
}

/** Starts the service; returns when it accepts connections. */
export const startService = (io: Io) => systemctl(["restart", UNIT], io);

/** Stops the service and removes its unit. Safe to repeat. */
export async function removeService(io: Io): Promise<void> {
  if (!existsSync(path)) return;
  await systemctl(["disable", "--now", UNIT], io);
  await removeFile(path);
  await systemctl(["daemon-reload"], io);
}
