// What dp itself notes of an instance of pm2: the daemon may be gone when it is asked.
import { writeFileAtomic, readText } from "../../host/files.ts";
import { bootId } from "../../host/process/process.ts";
import { filesOf } from "./home.ts";
import type { InstanceName } from "../../host/instance.ts";

/** `instances/ID.pm2.json`. */
export interface Pm2Record {
  /** The boot of the machine that it was started in. */
  boot: string;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
  /** It was stopped by dp: that it does not run is as it should be. */
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

/** Whether an instance that cannot be found should be there. */
export const isMissed = (record: Pm2Record | null) => record !== null && !record.isStopped && record.boot === bootId();
