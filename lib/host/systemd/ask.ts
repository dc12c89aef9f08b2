// What systemd is asked most often, over the bus; null where there is no bus: then its programs are asked.
import { existsSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { openBus, SYSTEM_BUS, type Bus } from "./bus.ts";

export const SYSTEMD = "org.freedesktop.systemd1";
export const MANAGER = { to: SYSTEMD, at: "/org/freedesktop/systemd1", interface: `${SYSTEMD}.Manager` };

/** The properties that are known here, by the interface that has them. */
const INTERFACES: Readonly<Record<string, readonly string[]>> = {
  Unit: ["ActiveState", "Job", "LoadState", "NeedDaemonReload", "SubState", "UnitFileState"],
  Service: [
    ...["ControlGroup", "ExecMainCode", "ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic"],
    ...["ExecMainStatus", "MainPID", "NRestarts", "Result"],
  ],
};
/** More units are asked about in one go by `systemctl show`: each property is a message. */
const FEW = 4;
/** How long systemd may take for an answer, in ms. It takes long while it reads all units anew. */
const PATIENCE = 20_000;

let bus: Bus | null = null;
/** It has let one question wait for too long: the next ones of this process go to systemctl at once. */
let isSilent = false;

/** The connection of this process, opened on first use and after it was lost; null: there is no bus. */
function openedBus(): Bus | null {
  if (bus?.isOpen()) return bus;
  return (bus = existsSync(SYSTEM_BUS) ? openBus(SYSTEM_BUS, PATIENCE) : null);
}

/** What is asked over the bus, answered; null where there is none, or it does not answer, or refuses. */
export async function over<T>(ask: (bus: Bus) => Promise<T>): Promise<T | null> {
  const open = isSilent ? null : openedBus();
  if (open === null) return null;
  const begun = performance.now();
  try {
    return await ask(open);
  } catch {
    isSilent = performance.now() - begun >= PATIENCE;
    return null; // systemctl has the words for what is wrong
  }
}

/** Properties of services as `systemctl show` prints them in English and UTC, by unit; null: ask systemctl. */
export async function askProperties(
  units: readonly string[],
  names: readonly string[],
): Promise<Map<string, Record<string, string>> | null> {
  const known = names.map((name) => [name, interfaceOf(name)] as const);
  const isKnown = known.every(([, found]) => found !== undefined);
  if (units.length > FEW || !isKnown || !units.every((unit) => unit.endsWith(".service"))) return null;
  return over(async (open) => {
    const of = (unit: string) =>
      known.map(async ([name, found]) => {
        const from = { to: SYSTEMD, at: unitPath(unit), interface: "org.freedesktop.DBus.Properties", method: "Get" };
        const [value] = await open.call({ ...from, args: [`${SYSTEMD}.${found!}`, name] });
        return [name, propertyText(name, value)] as const;
      });
    const all = units.map(async (unit) => [unit, Object.fromEntries(await Promise.all(of(unit)))] as const);
    return new Map(await Promise.all(all));
  });
}

const interfaceOf = (property: string) => Object.keys(INTERFACES).find((name) => INTERFACES[name]!.includes(property));

/** The path of a unit's object: every byte that is no letter or digit as `_2e`, and a digit in front as well. */
export const unitPath = (unit: string) =>
  `${MANAGER.at}/unit/${unit.replace(/^[0-9]|[^A-Za-z0-9]/g, (letter) => `_${letter.charCodeAt(0).toString(16).padStart(2, "0")}`)}`;

/** The names of the loaded units that match one of the states and one of the patterns; null: ask systemctl. */
export const askUnits = (states: readonly string[], patterns: readonly string[]): Promise<string[] | null> =>
  over(async (open) => {
    const [units] = await open.call({ ...MANAGER, method: "ListUnitsByPatterns", args: [states, patterns] });
    return (units as [name: string][]).map(([name]) => name);
  });

/**
 * Whether systemd has loaded a unit; null: ask systemctl. What it has not loaded it has never started, or has forgotten,
 * and for each question about a property it would read the files of the unit.
 */
export const askLoaded = (unit: string): Promise<boolean | null> =>
  over(async (open) => {
    try {
      await open.call({ ...MANAGER, method: "GetUnit", args: [unit] });
      return true;
    } catch (error) {
      if (codeOf(error) === `${SYSTEMD}.NoSuchUnit`) return false;
      throw error;
    }
  });

/** A property as `systemctl show` prints it. */
export function propertyText(name: string, value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (name === "Job") return (value as [id: number])[0] === 0 ? "" : String((value as [id: number])[0]);
  if (!name.endsWith("Timestamp")) return String(value);
  if (value === 0) return "";
  // Microseconds.
  const [day, time] = new Date(Number(value) / 1000).toISOString().split("T");
  const weekday = new Date(Number(value) / 1000).toUTCString().slice(0, 3);
  return `${weekday} ${day} ${time!.slice(0, 8)} UTC`;
}
