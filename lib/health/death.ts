// The message about an instance that has ended: how it ended, and its last lines.
import { DpError, messageOf } from "../errors.ts";
import type { Io } from "../host/io.ts";
import type { Manager } from "../contracts/manager.ts";
import { foldAlike } from "../text/alike.ts";
import { foldTraces } from "../text/trace.ts";
import { hintForEnd, hintForLines, hintForTables, withoutProbes } from "./hints.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";

const LOG_LINES = 25;
const LOOKS = 10;
const LOOK = 100;

/** The error for an instance that has stopped running, or is crashing repeatedly. */
export async function died(
  name: InstanceName,
  manager: Manager,
  seen: InstanceStatus,
  io: Io,
  path?: string,
): Promise<DpError> {
  let status = seen;
  // Between two crashes it runs for a moment, and its manager no longer knows how the last one ended.
  for (let look = 0; status.state === "running" && look < LOOKS; look++) {
    await io.sleep(LOOK);
    status = await manager.status(name);
  }
  const how =
    status.state === "running" ? "crashed and was started again" : `is not running: ${status.detail || status.state}`;
  const lines = await lastWords(name, manager, io, path);
  const hint = hintForLines(lines) ?? hintForTables(lines, name.app) ?? hintForEnd(lines, name.app);
  return new DpError("unhealthy", `${name.app}@${name.id} ${how}`, { lines, ...(hint === null ? {} : { hint }) });
}

/**
 * The last lines of an instance's log, without those about dp's own requests to `path`. An unreadable log must not
 * replace the actual error.
 */
export async function lastWords(name: InstanceName, manager: Manager, io: Io, path?: string): Promise<string[]> {
  const lines: string[] = [];
  try {
    await manager.logs(name, { lines: LOG_LINES * 20, follow: false, onLine: (line) => lines.push(line) }, io);
  } catch (error) {
    lines.push(`(the app's log cannot be read: ${messageOf(error)})`);
  }
  return foldAlike(foldTraces(withoutProbes(lines, path, LOG_LINES * 20))).slice(-LOG_LINES);
}
