// dp's own record of a pm2 instance, for when the daemon is gone.
import { writeFileAtomic, readText } from "../../host/files.ts";
import { bootId } from "../../host/process/process.ts";
import { filesOf } from "./home.ts";
import type { InstanceName } from "../../host/instance.ts";

/** `instances/ID.pm2.json`. */
export interface Pm2Record {
  /** The boot of the machine during which it was started. */
  boot: string;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** dp stopped it: it is not expected to run. */
  isStopped: boolean;
}

/** The record of an instance; null when it was never started, or the file is damaged. */
export async function readRecord(name: InstanceName): Promise<Pm2Record | null> {
  const text = await readText(filesOf(name).record);
  try {
    return text === null ? null : (JSON.parse(text) as Pm2Record);
  } catch {
    return null;
  }
}

export async function writeRecord(name: InstanceName, record: Pm2Record): Promise<void> {
  await writeFileAtomic(filesOf(name).record, `${JSON.stringify(record)}\n`, 0o600);
}

/** Whether an instance that cannot be found should exist. */
export const isMissed = (record: Pm2Record | null) => record !== null && !record.isStopped && record.boot === bootId();
