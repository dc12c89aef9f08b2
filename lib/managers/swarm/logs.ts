// The output of a service's tasks on all nodes, and the kept output of services that are gone.
import { mkdir } from "node:fs/promises";
import { readFrames } from "../../docker/api.ts";
import { serviceOf } from "../../docker/swarm.ts";
import { messageOf } from "../../errors.ts";
import type { InstanceName, LogOptions } from "../../host/instance.ts";
import type { Io } from "../../host/io.ts";
import { lineSink } from "../../host/sink.ts";
import { logs as keptLogs } from "../../host/supervisor/logs.ts";
import { openOutput } from "../../host/supervisor/output.ts";
import { filesOf } from "../../host/supervisor/supervision.ts";
import { places } from "../../paths.ts";
import { isJob } from "../../text/ids.ts";
import { serviceName } from "./names.ts";

interface Line {
  text: string;
  time: string | null;
}

/** `2026-03-01T12:00:00.123456789Z text` */
function lineOf(whole: string): Line {
  const [, time, text] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(whole) ?? [];
  const moment = time === undefined ? NaN : Date.parse(time);
  return Number.isNaN(moment) ? { text: whole, time: null } : { text: text ?? "", time: time! };
}

/** Reads the log of a service, each line with its time in Docker's nine digits. */
async function read(name: InstanceName, query: string, onLine: (line: Line) => void, io: Io): Promise<void> {
  const sink = lineSink((line) => onLine(lineOf(line)));
  const path = `/services/${serviceName(name)}/logs?stdout=1&stderr=1&timestamps=1&${query}`;
  await readFrames(path, (bytes) => sink.print(bytes), io);
  sink.end();
}

/** How long the nodes may take to send their output, in ms. */
const PATIENCE = 10_000;

/** The last lines of a service, oldest first: Docker tells those of each task by themselves. */
async function lastLines(name: InstanceName, count: number | "all", io: Io): Promise<Line[]> {
  const lines: Line[] = [];
  // Docker waits without an end for the output of tasks on a lost node: what came by then is what there is.
  const signal = AbortSignal.any([io.signal, AbortSignal.timeout(PATIENCE)]);
  await read(name, `tail=${count}`, (line) => lines.push(line), { ...io, signal });
  lines.sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : (a.time ?? "") > (b.time ?? "") ? 1 : 0));
  return count === "all" ? lines : count === 0 ? [] : lines.slice(-count);
}

const pass = ({ text, time }: Line, { onLine }: LogOptions) =>
  onLine(text, time === null ? null : new Date(Date.parse(time)).toISOString());

/** The last lines of an instance; with `follow` also those that come, until `io.signal` is aborted. */
export async function serviceLogs(name: InstanceName, options: LogOptions, io: Io): Promise<void> {
  const isThere = (await serviceOf(serviceName(name))) !== null;
  if (options.follow) return isThere ? follow(name, options, io) : undefined;
  if (!isThere) return keptLogs(name, options, io);
  const kept: Parameters<LogOptions["onLine"]>[] = [];
  // The runs of a job before this one.
  if (isJob(name.id)) await keptLogs(name, { ...options, onLine: (...line) => void kept.push(line) }, io);
  const lines = await lastLines(name, options.lines, io);
  const older = Math.max(0, options.lines - lines.length);
  for (const line of older === 0 ? [] : kept.slice(-older)) options.onLine(...line);
  for (const line of lines) pass(line, options);
}

async function follow(name: InstanceName, options: LogOptions, io: Io): Promise<void> {
  await read(name, `follow=1&tail=${options.lines}`, (line) => pass(line, options), io);
}

/** How many last lines are kept of an instance that is no job. */
const KEPT = 1_000;

/**
 * Keeps the output of a service before it is removed. If that fails (a full disk, a lost node), it is lost with a warning,
 * because nothing depends on it.
 */
export async function keepLog(name: InstanceName, io: Io): Promise<void> {
  if ((await serviceOf(serviceName(name))) === null) return;
  try {
    const lines = await lastLines(name, isJob(name.id) ? "all" : KEPT, io);
    await mkdir(places(name.app).logs, { recursive: true, mode: 0o750 });
    const kept = openOutput(filesOf(name).log);
    try {
      for (const line of lines)
        pass(line, { lines: 0, follow: false, onLine: (text, time) => kept.write(text, time ?? undefined) });
    } finally {
      kept.close();
    }
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`the output of ${name.app}@${name.id} is lost: ${messageOf(error)}`);
  }
}
