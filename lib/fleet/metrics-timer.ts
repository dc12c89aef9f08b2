// The timer that writes the metrics every 15 s for node_exporter's textfile collector.
import { existsSync, statSync } from "node:fs";
import { DpError } from "../errors.ts";
import { isService, words } from "../host/daemon/service.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { SELF } from "../host/self.ts";
import { systemctl } from "../host/systemd/systemd.ts";
import { UNITS, unitPath } from "../host/systemd/unit.ts";
import { render, template } from "../host/template.ts";

const TIMER = "dp-metrics.timer";
const SERVICE = "dp-metrics.service";

/** Throws DpError "host" where there is no systemd, or no right to its units. */
function requireService(): void {
  if (isService()) return;
  throw new DpError("host", "the timer needs systemd and root", {
    hint: "dp metrics --textfile FOLDER, by a clock of yours",
  });
}

/** Throws DpError "usage" for what is not an absolute path of a folder. */
export function requireFolder(folder: string): void {
  if (folder.startsWith("/") && statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new DpError("usage", `${JSON.stringify(folder)} is not a folder`, {
    hint: "name the folder of node_exporter's --collector.textfile.directory",
  });
}

/** Makes the timer for a folder; answers one sentence for each change. */
export async function installTimer(folder: string, io: Io): Promise<string[]> {
  requireService();
  requireFolder(folder);
  const hardening = existsSync("/usr/bin/podman") ? "" : await template("dp-reconcile.conf");
  const values = { command: words(SELF), folder: unitPath(folder), hardening };
  const texts = { [SERVICE]: render(await template(SERVICE), values), [TIMER]: await template(TIMER) };
  const changes: string[] = [];
  for (const [name, text] of Object.entries(texts)) {
    if ((await readText(`${UNITS}/${name}`)) === text) continue;
    await writeFileAtomic(`${UNITS}/${name}`, text, 0o644);
    changes.push(`wrote ${UNITS}/${name}`);
  }
  if (changes.length > 0) await systemctl(["daemon-reload"], io);
  await systemctl(["enable", "--quiet", TIMER], io);
  await systemctl(["restart", TIMER], io);
  return [...changes, `${TIMER} writes ${folder}/dp.prom every 15 s`];
}

/** Removes the timer. Safe to repeat. */
export async function removeTimer(io: Io): Promise<string[]> {
  requireService();
  const there = [TIMER, SERVICE].filter((name) => existsSync(`${UNITS}/${name}`));
  if (there.length === 0) return ["there is no timer"];
  await systemctl(["disable", "--now", "--quiet", TIMER], io, false);
  for (const name of there) await removeFile(`${UNITS}/${name}`);
  await systemctl(["daemon-reload"], io);
  return ["removed the timer; the last dp.prom is still in its folder"];
}
