// Whether a process without HTTP is healthy: it stays up, or a command of the app succeeds.
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { tail } from "../host/process/output.ts";
import { died } from "./death.ts";
import type { InstanceStatus } from "../host/instance.ts";
import type { ProcessCheck } from "../config/types.ts";

/** Milliseconds between two looks at a process. */
const LOOK = 200;

/** A started instance, and its check. */
export interface Candidate {
  instance: Instance;
  check: ProcessCheck;
}

/**
 * Waits until an instance has proven healthy. Throws DpError "unhealthy" as soon as it ends or restarts, or when it
 * never does.
 */
export async function waitUntilUp({ instance, check }: Candidate, manager: Manager, io: Io): Promise<void> {
  const first = await manager.status(instance);
  const requireUp = async () => {
    const now = await manager.status(instance);
    if (isOther(first, now)) throw await died(instance, manager, now, io);
  };
  await requireUp();
  if ("stayUp" in check) {
    const end = performance.now() + check.stayUp;
    while (performance.now() < end) {
      await io.sleep(Math.min(LOOK, Math.max(1, end - performance.now())));
      await requireUp();
    }
    return;
  }
  const { command, timeout, interval, startTimeout } = check;
  const { folder: cwd, env, user } = instance;
  const end = performance.now() + startTimeout;
  for (let tries = 1; ; tries++) {
    const { code, text, timedOut } = await io.run(["sh", "-c", command], {
      cwd,
      env,
      user,
      timeout,
      check: false,
      quiet: true,
    });
    await requireUp();
    if (code === 0 && !timedOut) return;
    if (performance.now() + interval > end) {
      const how = timedOut ? `did not end within ${timeout / 1000} s` : `exited with code ${code}`;
      const message = `the health check of ${instance.app}@${instance.id} ${how} in all ${tries} tries: ${command}`;
      throw new DpError("unhealthy", message, { lines: tail(text, 25) });
    }
    await io.sleep(interval);
  }
}

// The first look may come after a crash: then it has restarts, or does not run.
function isOther(first: InstanceStatus, now: InstanceStatus): boolean {
  return now.state !== "running" || now.pid !== first.pid || now.restarts !== first.restarts;
}
