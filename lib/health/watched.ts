// The status of an instance that is asked for again and again.
import type { Manager } from "../contracts/manager.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";
import { isAlive, startTime } from "../host/process/process.ts";

/**
 * Asks the manager, and asks it again only once the main process is another one: some managers are asked through a
 * program, and a look at a process costs nothing. An instance with a health check of its own is always asked about.
 * Who needs certainty in the end asks the manager once more.
 */
export function watched(manager: Manager, name: InstanceName): () => Promise<InstanceStatus> {
  let known: { status: InstanceStatus; pid: number; started: number } | null = null;
  return async () => {
    if (known !== null && isAlive(known.pid, known.started)) return known.status;
    const status = await manager.status(name);
    const { pid } = status;
    const started = pid === null ? null : startTime(pid);
    const isPlain = status.state === "running" && status.isUnhealthy === undefined;
    known = isPlain && pid !== null && started !== null ? { status, pid, started } : null;
    return status;
  };
}
