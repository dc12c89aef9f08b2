// A server-wide timer of systemd and the service that it starts: its units are made, compared and removed.
import { existsSync } from "node:fs";
import { removeFile } from "../files.ts";
import type { Io } from "../io.ts";
import { systemctl } from "../systemd/systemd.ts";
import { UNITS } from "../systemd/unit.ts";
import { serviceDrift, writeUnits } from "./service.ts";

/** The units (name -> text) of a timer. */
export interface Timed {
  timer: string;
  units: Readonly<Record<string, string>>;
}

/** One sentence for each part of it that is not as this dp makes it. */
export async function timerDrift({ timer, units }: Timed): Promise<string[]> {
  const wrong = await serviceDrift(units);
  const isActive = (await systemctl(["is-active", "--quiet", timer], undefined, false)).code === 0;
  return isActive ? wrong : [...wrong, `${timer} does not run`];
}

/** Makes it and starts it, also after a reboot. Answers one sentence for each change. */
export async function setUpTimer({ timer, units }: Timed, io: Io): Promise<string[]> {
  const changes = await writeUnits(units);
  if (changes.length === 0 && (await timerDrift({ timer, units })).length === 0) return [];
  await systemctl(["daemon-reload"], io);
  await systemctl(["enable", "--quiet", timer], io);
  await systemctl(["restart", timer], io);
  return changes.length > 0 ? changes : [`started ${timer}`];
}

/** Removes the units that are there, and answers whether any was. Safe to repeat. */
export async function removeTimer(timer: string, units: readonly string[], io: Io): Promise<boolean> {
  const there = units.filter((name) => existsSync(`${UNITS}/${name}`));
  if (there.length === 0) return false;
  if (there.includes(timer)) await systemctl(["disable", "--now", "--quiet", timer], io);
  for (const name of there) await removeFile(`${UNITS}/${name}`);
  await systemctl(["daemon-reload"], io);
  // What was under way when it was stopped counts as failed.
  await systemctl(["reset-failed", ...there], io, false);
  return true;
}
