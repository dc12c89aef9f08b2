// The state of a service in the terms of every manager.
import { hasEnded, isUp, type Service, type Task } from "../../docker/swarm.ts";
import { howEnded, signalNamed, type Ended } from "../../host/process/ending.ts";
import type { InstanceStatus } from "../../host/instance.ts";
import { ENABLED, STOPPED } from "./names.ts";

/** How often a task may crash before a release that is not live counts as failed. */
const CRASHES = 2;

/** Docker names a signal only as 128 and its number. */
function endedOf(code: number): Ended {
  const signal = signalNamed(code - 128);
  return signal === null ? { code } : { signal };
}

/** Whether a task ended by itself, and not because Docker moved or stopped it. */
const hasCrashed = ({ Status }: Task) => ["failed", "rejected", "complete"].includes(Status.State);

function endOf({ Status }: Task): Pick<InstanceStatus, "detail" | "ended"> {
  const code = Status.ContainerStatus?.ExitCode ?? 0;
  if (Status.State === "complete") return { detail: howEnded({ code: 0 }), ended: { code: 0 } };
  if (/non-zero exit/.test(Status.Err)) return { detail: howEnded(endedOf(code)), ended: endedOf(code) };
  return { detail: Status.Err || Status.State };
}

const isJobService = ({ Spec }: Service) => "ReplicatedJob" in Spec.Mode;

/** How many tasks a service should have. */
export const wantedTasks = ({ Spec }: Service) => Spec.Mode.Replicated?.Replicas ?? 1;

/** The status of a service with its tasks, oldest first; null: there is none. */
export function statusFrom(service: Service | null, tasks: readonly Task[]): InstanceStatus {
  const stopped: InstanceStatus = { state: "stopped", pid: null, restarts: 0, since: null, detail: "" };
  if (service === null || STOPPED in service.Spec.Labels) return stopped;
  const crashed = tasks.filter((task) => hasEnded(task) && hasCrashed(task));
  const last = crashed.at(-1);
  const up = tasks.filter(isUp).sort((a, b) => a.Slot - b.Slot);
  const restarts = crashed.length;
  if (isJobService(service) && up.length === 0 && last !== undefined)
    return last.Status.State === "complete" ? stopped : { ...stopped, state: "failed", ...endOf(last) };
  const [first] = up;
  if (first !== undefined) return running(service, up, restarts);
  const pending = tasks.findLast((task) => !hasEnded(task));
  const reason =
    last === undefined ? { detail: pending?.Status.Err || pending?.Status.State || "no task yet" } : endOf(last);
  const isFailed = last !== undefined && crashed.length >= CRASHES && !(ENABLED in service.Spec.Labels);
  return { ...stopped, state: isFailed ? "failed" : "waiting", restarts, ...reason };
}

function running(service: Service, up: readonly Task[], restarts: number): InstanceStatus {
  const [{ Status }] = up as [Task];
  const wanted = wantedTasks(service);
  const notes = [
    ...(up.length < wanted ? [`${up.length} of ${wanted} tasks run`] : []),
    ...(Status.State === "starting" ? ["HEALTHCHECK reports starting"] : []),
  ];
  return {
    state: "running",
    pid: Status.ContainerStatus?.PID ?? null,
    restarts,
    since: new Date(Status.Timestamp).toISOString(),
    detail: notes.join(", "),
    // Said always: a process of that number here may be somebody else's, so Docker is asked each time.
    isUnhealthy: false,
  };
}
