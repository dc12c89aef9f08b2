// The state of a pm2 instance, in the terms of every manager.
import { isJob } from "../../text/ids.ts";
import { howEnded, signalNamed, type Ended } from "../../host/process/ending.ts";
import type { Listed } from "./listing.ts";
import { appProcesses, isWorker, mainBelow } from "./processes.ts";
import { isMissed, readRecord } from "./record.ts";
import type { InstanceName, InstanceStatus } from "../../host/instance.ts";

// The watcher's exit codes for an end without a restart, and for an app that ended with 0 and must be restarted: pm2
// reports 0 for a killed watcher.
const CLEAN = 200;
const ZERO = 199;

// If there are several workers, the one in the best state counts.
const ORDER = ["running", "waiting", "failed", "stopped"];

const STOPPED: InstanceStatus = { state: "stopped", pid: null, restarts: 0, since: null, detail: "" };

/** The state of an instance, from its daemon's list; `listed` null: there is no daemon. */
export async function statusFrom(name: InstanceName, listed: readonly Listed[] | null): Promise<InstanceStatus> {
  if (listed === null || listed.length === 0) return unlisted(name, listed === null);
  const states = listed.map((entry) => stateOf(name, entry));
  const shown = ORDER.map((word) => states.find(({ state }) => state === word)).find((found) => found !== undefined)!;
  const ill = shown.state === "running" ? states.filter(({ state }) => state !== "running") : [];
  const detail = ill.length > 0 ? `${ill.length} of ${states.length} workers: ${ill[0]!.state}` : shown.detail;
  return { ...shown, detail, restarts: states.reduce((sum, { restarts }) => sum + restarts, 0) };
}

// The daemon is gone, or does not know the instance: nobody watches a process that still runs.
async function unlisted(name: InstanceName, isDaemonGone: boolean): Promise<InstanceStatus> {
  const left = appProcesses(name, []);
  if (left.length === 0 && !isMissed(await readRecord(name))) return STOPPED;
  const why = isDaemonGone ? "the daemon of pm2 was killed" : "pm2 no longer knows it";
  const rest = left.length > 0 ? `, and it still runs unsupervised as pid ${left[0]}` : "";
  return { ...STOPPED, state: "failed", detail: `${why}${rest}` };
}

function stateOf(name: InstanceName, entry: Listed): InstanceStatus {
  const { status, restart_time: restarts, pm_uptime, exit_code } = entry.pm2_env;
  const ended = { pid: null, restarts, since: null };
  if (status === "errored") return { ...ended, state: "failed", ...endOf(entry) };
  if (status === "stopped" && isJob(name.id) && exit_code !== null && exit_code !== CLEAN)
    return { ...ended, state: "failed", ...endOf(entry) };
  // pm2 reports an instance as stopped for a moment before it restarts it.
  const isOver = isWorker(entry) || exit_code === null || exit_code === CLEAN;
  if (status === "stopped" && isOver) return { ...ended, state: "stopped", ...endOf(entry) };
  const pid = entry.pid === 0 ? null : isWorker(entry) ? entry.pid : mainBelow(name, entry.pid);
  if (pid === null) return { ...ended, state: "waiting", ...endOf(entry) };
  return { state: "running", pid, restarts, since: new Date(pm_uptime).toISOString(), detail: "" };
}

/** Its last end: the watcher passes it on in its exit code, as a shell does; for a worker pm2 keeps only the code. */
function endOf(entry: Listed): Pick<InstanceStatus, "detail" | "ended"> {
  const code = entry.pm2_env.exit_code;
  if (code === null) return { detail: "" };
  if (code === 0)
    return { detail: isWorker(entry) ? "ended; pm2 does not report how" : "the shell that watches it was killed" };
  const ended = isWorker(entry) ? { code } : endedOf(code);
  return { detail: howEnded(ended), ended };
}

function endedOf(code: number): Ended {
  if (code === CLEAN || code === ZERO) return { code: 0 };
  const signal = signalNamed(code - 128);
  return signal === null ? { code } : { signal };
}
