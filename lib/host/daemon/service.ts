// A server-wide process as a systemd service: its units, its user and its folder.
import { existsSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readText, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import { root } from "../../paths.ts";
import { idsOf, makeSystemUser } from "../users.ts";
import { showAll, systemctl } from "../systemd/systemd.ts";
import { driftOf, UNITS, unitPath } from "../systemd/unit.ts";

/** Whether server-wide processes are services here: on a server, as root. Under DP_ROOT a supervisor runs them. */
export const isService = () => root() === "" && process.getuid?.() === 0 && existsSync("/run/systemd/system");

/** An argv in the syntax of a unit file. */
export const words = (argv: readonly string[]) =>
  argv.map((word) => (word.startsWith("/") ? unitPath(word) : word)).join(" ");

/** Makes the system user and its folder, closed to others; returns what was made. */
export async function setUpUser(user: string, folder: string, io: Io): Promise<string[]> {
  const isNew = await makeSystemUser(user, folder, io);
  // The user must be able to pass through the parent folder.
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await chmod(dirname(folder), 0o755);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chown(folder, ...(await idsOf(user)));
  await chmod(folder, 0o700);
  return isNew ? [`made the system user ${user}`] : [];
}

// "static": a timer or another unit starts it.
async function untold(units: readonly string[]): Promise<string[]> {
  const shown = await showAll(units, ["NeedDaemonReload", "UnitFileState"]);
  const isUntold = ({ NeedDaemonReload, UnitFileState }: Record<string, string>) =>
    NeedDaemonReload === "yes" || !["enabled", "static"].includes(UnitFileState ?? "");
  return units.filter((unit) => isUntold(shown.get(unit)!));
}

/** One sentence for each unit (name -> text) that is different on disk or not known to systemd. */
export async function serviceDrift(units: Readonly<Record<string, string>>): Promise<string[]> {
  const wrong = await driftOf(units);
  if (wrong.length > 0) return wrong;
  return (await untold(Object.keys(units))).map(
    (unit) => `systemd does not know ${UNITS}/${unit}, or does not start it at boot`,
  );
}

/** Writes the units (name -> text) that differ, and answers one sentence for each. systemd must be reloaded afterwards. */
export async function writeUnits(units: Readonly<Record<string, string>>): Promise<string[]> {
  const changes: string[] = [];
  for (const [name, text] of Object.entries(units)) {
    if ((await readText(`${UNITS}/${name}`)) === text) continue;
    await writeFileAtomic(`${UNITS}/${name}`, text, 0o644);
    changes.push(`wrote ${UNITS}/${name}`);
  }
  return changes;
}

/**
 * Writes the units (name -> text) that differ or are not enabled, and starts the first unless it is running. `changes`:
 * what was changed for the service before this call. Returns all changes.
 */
export async function setUpUnits(
  units: Readonly<Record<string, string>>,
  isRunning: boolean,
  changes: string[],
  io: Io,
): Promise<string[]> {
  changes.push(...(await writeUnits(units)));
  // An earlier dp may have been killed after it wrote the units and before it reloaded systemd.
  if (changes.length === 0)
    changes.push(...(await untold(Object.keys(units))).map((unit) => `told systemd about ${UNITS}/${unit}`));
  if (changes.length > 0) {
    await systemctl(["daemon-reload"], io);
    await systemctl(["enable", ...Object.keys(units)], io);
  }
  const [first = ""] = Object.keys(units);
  // Type=notify: systemctl returns once the sockets accept connections, including the inherited ones.
  if (changes.length > 0 || !isRunning) await systemctl([isRunning ? "restart" : "start", first], io);
  return changes;
}
