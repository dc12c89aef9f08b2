// The output of a container, the results of the image's health check, and the kept output of containers that are gone.
import { mkdir } from "node:fs/promises";
import { logs as keptLogs } from "../../host/supervisor/logs.ts";
import { openOutput } from "../../host/supervisor/output.ts";
import { filesOf } from "../../host/supervisor/supervision.ts";
import { messageOf } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { places } from "../../paths.ts";
import { isJob } from "../../text/ids.ts";
import { tail } from "../../host/process/output.ts";
import { docker } from "../../docker/client.ts";
import { containerOf, healthOf, type Container } from "../../docker/container.ts";
import { containerName } from "../../docker/names.ts";
import type { InstanceName, LogOptions } from "../../host/instance.ts";

const FOR_EVER = 2 ** 31 - 1;
const LOOK = 500;

/** The last lines of a container; with `follow` also those after a restart, until `io.signal` is aborted. */
export async function containerLogs(name: InstanceName, options: LogOptions, io: Io): Promise<void> {
  const found = await containerOf(name);
  if (isJob(name.id) && !options.follow) return jobLogs(name, found !== null, options, io);
  if (found === null) return options.follow ? undefined : keptLogs(name, options, io);
  if (options.follow) return follow(name, options, io);
  if (!(await printIfThere(name, options, io))) return keptLogs(name, options, io);
  for (const line of healthLines(found)) options.onLine(line);
}

type Line = Parameters<LogOptions["onLine"]>;

/** False, and nothing is shown: the container has been removed since it was looked for, and what it printed was kept before. */
async function printIfThere(name: InstanceName, options: LogOptions, io: Io): Promise<boolean> {
  const lines: Line[] = [];
  const gather = { ...options, onLine: (...line: Line) => void lines.push(line) };
  try {
    // The words of an error are lines, too.
    await print(name, [`--tail=${options.lines}`], gather, io);
    for (const line of lines) options.onLine(...line);
    return true;
  } catch (error) {
    if (io.signal.aborted || (await containerOf(name)) !== null) throw error;
    return false;
  }
}

// First the kept output of earlier runs, then that of the existing container.
async function jobLogs(name: InstanceName, isThere: boolean, options: LogOptions, io: Io): Promise<void> {
  const all: Line[] = [];
  const gather = { ...options, onLine: (...line: Line) => void all.push(line) };
  await keptLogs(name, gather, io);
  if (isThere && !(await printIfThere(name, gather, io))) {
    all.length = 0;
    await keptLogs(name, gather, io);
  }
  for (const line of options.lines === 0 ? [] : all.slice(-options.lines)) options.onLine(...line);
}

/** How many last lines are kept of a container that is no job. */
const KEPT = 1_000;

/**
 * Keeps the output of an instance before its container is removed: beside the logs of deploys, like the builtin
 * manager. If that fails (a full disk), the output is lost with a warning, because nothing depends on it.
 */
export async function keepLog(name: InstanceName, io: Io): Promise<void> {
  if ((await containerOf(name)) === null) return;
  try {
    await copyLog(name, io);
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`the output of ${name.app}@${name.id} is lost: ${messageOf(error)}`);
  }
}

async function copyLog(name: InstanceName, io: Io): Promise<void> {
  await mkdir(places(name.app).logs, { recursive: true, mode: 0o750 });
  const kept = openOutput(filesOf(name).log);
  try {
    const onLine = (line: string, time?: string | null) => kept.write(line, time ?? undefined);
    await print(name, isJob(name.id) ? [] : [`--tail=${KEPT}`], { lines: 0, follow: false, onLine }, io);
  } finally {
    kept.close();
  }
}

/** When a line was printed, as docker says it: `2026-03-01T12:00:00.123456789Z`, or with an offset. */
type Stamp = string;

const splitLine = (text: string): [stamp: Stamp | null, line: string] => {
  const [, stamp, line] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(text) ?? [];
  return stamp === undefined || Number.isNaN(Date.parse(stamp)) ? [null, text] : [stamp, line ?? ""];
};

/** Prints what `docker logs` prints. Answers the stamp of its last line, or `after`, whose line is left out. */
async function print(
  name: InstanceName,
  argv: string[],
  { follow, onLine }: LogOptions,
  io: Io,
  after: Stamp | null = null,
): Promise<Stamp | null> {
  const timeout = follow ? FOR_EVER : 60_000;
  let last = after;
  const take = (text: string) => {
    const [stamp, line] = splitLine(text);
    if (stamp !== null && stamp === after) return;
    last = stamp ?? last;
    onLine(line, ...(stamp === null ? [] : [new Date(stamp).toISOString()]));
  };
  const words = ["container", "logs", "--timestamps", ...argv, containerName(name)];
  await docker(words, io, { onLine: take, quiet: false, timeout });
  return last;
}

// `docker logs` ends with the container, but the output after the next start must appear as well. Its first lines may be
// older than the start that docker states: what is asked for is what follows the last line.
async function follow(name: InstanceName, options: LogOptions, io: Io): Promise<void> {
  let since = [`--tail=${options.lines}`];
  let last: Stamp | null = null;
  try {
    for (;;) {
      const before = (await containerOf(name))?.State.StartedAt;
      last = await print(name, ["--follow", ...since], options, io, last);
      let now;
      do {
        await io.sleep(LOOK);
        now = await containerOf(name);
      } while (now?.State.StartedAt === before);
      if (now === null) return;
      since = [`--since=${last ?? now.State.StartedAt}`];
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
}

function healthLines(found: Container): string[] {
  const health = healthOf(found);
  const last = health?.Log?.at(-1);
  if (!health || health.Status === "healthy" || !last) return [];
  return [
    `HEALTHCHECK reports ${health.Status}: its command exited with code ${last.ExitCode}`,
    ...tail(last.Output, 5).map((line) => `  ${line}`),
  ];
}
