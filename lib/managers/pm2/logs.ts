// The output of a pm2 instance, from the log that its watcher or its workers write.
import type { Io } from "../../host/io.ts";
import { tailFile } from "../../host/process/tail.ts";
import { filesOf, ownerOf } from "./home.ts";
import type { InstanceName, LogOptions } from "../../host/instance.ts";

// The format of pm2.sh and of pm2's log_date_format. Lines printed at once share one time, before the first.
const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?[+-]\d\d:\d\d): (.*)$/s;

/** A line of a log as its text and its time, ISO 8601; null: it belongs to the line before, or its time is unknown. */
export function parseLine(line: string): [text: string, time: string | null] {
  const [, stamp, text] = LINE.exec(line) ?? [];
  const time = Date.parse(stamp ?? "");
  return text === undefined || Number.isNaN(time) ? [line, null] : [text, new Date(time).toISOString()];
}

/** Passes on the lines of an instance, with their times. */
export function logs(name: InstanceName, options: LogOptions, io: Io): Promise<void> {
  const onLine = (line: string) => options.onLine(...parseLine(line));
  return tailFile(filesOf(name).log, { ...options, onLine }, io, ownerOf(name.app).user);
}
