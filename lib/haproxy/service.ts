// HAProxy as a service of systemd, dp-haproxy: beside Debian's own haproxy.service, which is never touched.
import { existsSync } from "node:fs";
import { readText, removeFile, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import { systemctl } from "../systemd/systemd.ts";
import { render, template } from "../template.ts";
import { UNITS, unitPath } from "../systemd/unit.ts";
import { filesOf, haproxyProgram } from "./places.ts";

const UNIT = "dp-haproxy.service";
const path = `${UNITS}/${UNIT}`;

/** Writes and enables the unit where it differs; answers what was changed. */
export async function setUpService(io: Io): Promise<string[]> {
  const { config, socket, folder } = filesOf();
  const text = render(await template(`haproxy/${UNIT}`), {
    program: unitPath(haproxyProgram() ?? "haproxy"),
    ...{ config: unitPath(config), socket: unitPath(socket), folder: unitPath(folder) },
  });
  if ((await readText(path)) === text) return [];
  await writeFileAtomic(path, text, 0o644);
  await systemctl(["daemon-reload"], io);
  await systemctl(["enable", UNIT], io);
  return [`wrote ${path}`];
}

/** Starts the service; returns when it takes connections. */
export const startService = (io: Io) => systemctl(["restart", UNIT], io);

/** Stops the service and removes its unit. Safe to repeat. */
export async function removeService(io: Io): Promise<void> {
  if (!existsSync(path)) return;
  await systemctl(["disable", "--now", UNIT], io);
  await removeFile(path);
  await systemctl(["daemon-reload"], io);
}
