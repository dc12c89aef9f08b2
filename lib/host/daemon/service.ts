// A process of the whole server as a service of systemd: its unit, its user, its folder.
import { existsSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readText, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import { root } from "../../paths.ts";
import { idsOf, makeSystemUser } from "../users.ts";
import { show, systemctl } from "../systemd/systemd.ts";
import { driftOf, UNITS, unitPath } from "../systemd/unit.ts";

/** Whether such processes are services here: on a server, as root; under DP_ROOT a supervisor keeps them. */
export const isService = () => root() === "" && process.getuid?.() === 0 && existsSync("/run/systemd/system");

/** An argv as a unit has it. */
export const words = (argv: readonly string[]) =>
  argv.map((word) => (word.startsWith("/") ? unitPath(word) : word)).join(" ");

/** Makes the system user and its folder, closed to others; answers what was made. */
export async function setUpUser(user: string, folder: string, io: Io): Promise<string[]> {
  const isNew = await makeSystemUser(user, folder, io);
  // Its parent must let that user through.
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await chmod(dirname(folder), 0o755);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chown(folder, ...(await idsOf(user)));
  await chmod(folder, 0o700);
  return isNew ? [`made the system user ${user}`] : [];
}

async function untold(units: readonly string[]): Promise<string[]> {
  const shown = await Promise.all(units.map((unit) => show(unit, ["NeedDaemonReload", "UnitFileState"])));
  const isUntold = ({ NeedDaemonReload, UnitFileState }: Record<string, string>) =>
    NeedDaemonReload === "yes" || UnitFileState !== "enabled";
  return units.filter((_, at) => isUntold(shown[at]!));
}

/** What of units, name -> text, is not as they say, or not known to systemd: one sentence each. */
export async function serviceDrift(units: Readonly<Record<string, string>>): Promise<string[]> {
  const wrong = await driftOf(units);
  if (wrong.length > 0) return wrong;
  return (await untold(Object.keys(units))).map(
    (unit) => `systemd does not know ${UNITS}/${unit}, or does not start it at boot`,
  );
}

/**
 * Writes units, name -> text, where they differ or are not enabled, and starts the first of them unless it runs;
 * `changes`: what was changed for it before. Answers all that was changed.
 */
export async function setUpUnits(
  units: Readonly<Record<string, string>>,
  isRunning: boolean,
  changes: string[],
  io: Io,
): Promise<string[]> {
  for (const [name, text] of Object.entries(units)) {
    if ((await readText(`${UNITS}/${name}`)) === text) continue;
    await writeFileAtomic(`${UNITS}/${name}`, text, 0o644);
    changes.push(`wrote ${UNITS}/${name}`);
  }
  // Whoever wrote them may have been ended before systemd heard of it.
  if (changes.length === 0)
    changes.push(...(await untold(Object.keys(units))).map((unit) => `told systemd about ${UNITS}/${unit}`));
  if (changes.length > 0) {
    await systemctl(["daemon-reload"], io);
    await systemctl(["enable", ...Object.keys(units)], io);
  }
  const [first = ""] = Object.keys(units);
  // Type=notify: this returns when its sockets accept, those of before among them.
  if (changes.length > 0 || !isRunning) await systemctl([isRunning ? "restart" : "start", first], io);
  return changes;
}
