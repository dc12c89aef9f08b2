// The timer that writes the metrics every 15 s for node_exporter's textfile collector.
import { existsSync, statSync } from "node:fs";
import { DpError } from "../errors.ts";
import { isService, words } from "../host/daemon/service.ts";
import { removeTimer, setUpTimer, timerDrift } from "../host/daemon/timer.ts";
import { readText } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { SELF } from "../host/self.ts";
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

const isFolder = (path: string) =>
  path.startsWith("/") && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Throws DpError "usage" for what is not an absolute path of a folder. */
export function requireFolder(folder: string): void {
  if (isFolder(folder)) return;
  throw new DpError("usage", `${JSON.stringify(folder)} is not a folder`, {
    hint: "name the folder of node_exporter's --collector.textfile.directory",
  });
}

async function unitTexts(folder: string): Promise<Record<string, string>> {
  const hardening = existsSync("/usr/bin/podman") ? "" : await template("dp-reconcile.conf");
  const values = { command: words(SELF), folder: unitPath(folder), hardening };
  return { [SERVICE]: render(await template(SERVICE), values), [TIMER]: await template(TIMER) };
}

/** Makes the timer for a folder; answers one sentence for each change. */
export async function installMetrics(folder: string, io: Io): Promise<string[]> {
  requireService();
  requireFolder(folder);
  const changes = await setUpTimer({ timer: TIMER, units: await unitTexts(folder) }, io);
  return [...changes, `${TIMER} writes ${folder}/dp.prom every 15 s`];
}

/** Removes the timer. Safe to repeat. */
export async function removeMetrics(io: Io): Promise<string[]> {
  requireService();
  if (!(await removeTimer(TIMER, [TIMER, SERVICE], io))) return ["there is no timer"];
  return ["removed the timer; the last dp.prom is still in its folder"];
}

/** The folder that the timer writes into, and one sentence for each part that is not as this dp makes it; null: there is no timer. */
export async function metricsDrift(): Promise<{ folder: string | null; wrong: string[] } | null> {
  if (!isService()) return null;
  const text = await readText(`${UNITS}/${SERVICE}`);
  if (text === null) {
    const isHalf = existsSync(`${UNITS}/${TIMER}`);
    return isHalf ? { folder: null, wrong: [`${UNITS}/${SERVICE} is missing`] } : null;
  }
  const folder = / metrics --textfile (\/\S*)$/m.exec(text)?.[1]?.replaceAll("%%", "%");
  if (folder === undefined) return { folder: null, wrong: [`${UNITS}/${SERVICE} is not as this dp writes it`] };
  if (!isFolder(folder)) return { folder: null, wrong: [`${folder}, where the metrics go, is not a folder`] };
  return { folder, wrong: await timerDrift({ timer: TIMER, units: await unitTexts(folder) }) };
}
