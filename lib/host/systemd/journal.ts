// The output of an instance, from the journal.
import type { Io } from "../io.ts";
import { systemdTool, unitOf } from "./systemd.ts";
import type { InstanceName, LogOptions } from "../instance.ts";

/** The lines of an instance with their times. */
export const logs = (name: InstanceName, options: LogOptions, io: Io): Promise<void> =>
  unitLogs(unitOf(name), options, io);

/** The output lines of a unit's processes with their times. */
export async function unitLogs(unit: string, options: LogOptions, io: Io): Promise<void> {
  const { lines, follow, since, onLine } = options;
  // The last lines of the app may not have reached the journal yet.
  await systemdTool(["journalctl", "--sync"], io, false);
  const argv = [
    ...["journalctl", "--no-pager", "--all", "-o", "json", "--output-fields=MESSAGE", "-n", String(lines)],
    ...(follow ? ["-f"] : []),
    ...(since === undefined ? [] : [`--since=@${Math.floor(since / 1000)}`]),
    `_SYSTEMD_UNIT=${unit}`,
  ];
  try {
    await systemdTool(argv, io, true, {
      onLine: (entry) => passOn(entry, onLine),
      quiet: false,
      timeout: follow ? 2 ** 31 - 1 : 60_000,
    });
  } catch (error) {
    if (!(follow && io.signal.aborted)) throw error;
  }
}

// The journal returns a message that is not valid text as an array of bytes.
function passOn(entry: string, onLine: LogOptions["onLine"]): void {
  if (!entry.startsWith("{")) return; // "-- No entries --"
  const { MESSAGE, __REALTIME_TIMESTAMP } = JSON.parse(entry) as Record<string, string | number[] | null>;
  const text = Array.isArray(MESSAGE) ? Buffer.from(MESSAGE).toString() : (MESSAGE ?? "");
  const time = new Date(Number(__REALTIME_TIMESTAMP) / 1000).toISOString();
  for (const line of text.split("\n")) onLine(line, time);
}
