// Starts a unit before anybody knows what it runs: its sandbox takes longer than all else of a start. The script that its
// shell reads is a pipe until then.
import { closeSync, constants, existsSync, openSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import type { InstanceName, Startable } from "../instance.ts";
import { pipeRoom } from "../process/libc.ts";
import { scriptOf, shellText, waitingFiles, writeFiles } from "./instance-files.ts";
import { doJob } from "./job.ts";
import { mayBeLoaded, unitOf } from "./systemd.ts";
import { UNITS } from "./unit.ts";

/** Units that this process has started so, and whether systemd has done it. */
const early = new Map<string, Promise<boolean>>();

/** Looks whether the shell has opened its script, with a millisecond between them. */
const LOOKS = 500;

/** Starts the unit of an instance that has a folder and that systemd has never seen. What goes wrong is left to `start`. */
export function startEarly(name: InstanceName & { user: string }): void {
  const unit = unitOf(name);
  if (!early.has(unit))
    early.set(
      unit,
      begin(name, unit).catch(() => false),
    );
}

async function begin(name: InstanceName & { user: string }, unit: string): Promise<boolean> {
  if (isOverridden(unit) || (await mayBeLoaded(unit)) || !(await waitingFiles(name))) return false;
  return doJob("StartUnit", unit, new AbortController().signal);
}

/** Whether the operator has settings of the unit: by them it may be started only once something says that it is ready. */
const isOverridden = (unit: string) =>
  [unit, unit.replace(/@.*/, "@.service")].some((name) => FOLDERS.some((folder) => existsSync(`${folder}/${name}.d`)));
const FOLDERS = [UNITS, "/run/systemd/system"];

/** Whether this process has started the unit of an instance early, and nobody has taken it over. */
export const isEarly = (name: InstanceName): boolean => early.has(unitOf(name));

/** Waits until systemd is done with it. It may run then, and is like any other unit from now on. */
export async function leaveEarly(name: InstanceName): Promise<boolean> {
  const unit = unitOf(name);
  const isRunning = (await early.get(unit)) ?? false;
  early.delete(unit);
  return isRunning;
}

/** Writes the files of an instance whose unit waits, and lets its shell begin. False: it must be stopped, and started. */
export async function goOn(instance: Startable): Promise<boolean> {
  const isRunning = await leaveEarly(instance);
  const text = shellText(instance);
  if (!isRunning || text === null) return false;
  const script = await writerOf(scriptOf(instance));
  if (script === null) return false;
  try {
    // The shell would run a part of it.
    if (Buffer.byteLength(text) > pipeRoom(script)) return false;
    await writeFiles(instance);
    writeSync(script, text);
    return true;
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return false; // the shell was ended
  } finally {
    closeSync(script);
  }
}

/** The end of a pipe that is written to, once the shell has opened the other one; null: it does not, or it is no pipe. */
async function writerOf(path: string): Promise<number | null> {
  for (let look = 0; look < LOOKS; look++) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) !== "ENXIO") return null;
      await Bun.sleep(1);
    }
  }
  return null;
}
