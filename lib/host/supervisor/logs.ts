// The output of a builtin instance, from its log.
import type { Io } from "../io.ts";
import { parseLine, reader } from "./output.ts";
import { filesOf } from "./supervision.ts";
import type { InstanceName, LogOptions } from "../instance.ts";
import { lineSink } from "../sink.ts";

/** How often to check a log that is followed, in ms. */
const POLL = 50;

/** The lines of an instance with their times. */
export async function logs(name: InstanceName, { lines, follow, onLine }: LogOptions, io: Io): Promise<void> {
  const log = reader(filesOf(name).log);
  try {
    const last: string[] = [];
    let take: (line: string) => void = (line) =>
      void (last.push(line) > 2 * lines && last.splice(0, last.length - lines));
    const sink = lineSink((line) => take(line));
    log.read((chunk) => sink.print(chunk));
    if (!follow) sink.end();
    for (const line of lines === 0 ? [] : last.splice(-lines)) onLine(...parseLine(line));
    take = (line) => onLine(...parseLine(line));
    while (follow && !io.signal.aborted) {
      log.read((chunk) => sink.print(chunk));
      await io.sleep(POLL).catch(() => undefined);
    }
  } finally {
    log.close();
  }
}
