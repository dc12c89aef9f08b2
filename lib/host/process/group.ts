// Signals to a whole process group.
import { codeOf } from "../../errors.ts";

const GRACE = 5_000;

/** Sends a signal to all of a group; one that is gone needs none. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** The group of a child that leads one; `end` is SIGTERM, then SIGKILL when that was not enough, unless `forget` was called. */
export function groupOf(pid: number) {
  let timer: Timer | undefined;
  return {
    kill: (signal: NodeJS.Signals) => signalGroup(pid, signal),
    end() {
      signalGroup(pid, "SIGTERM");
      timer = setTimeout(() => signalGroup(pid, "SIGKILL"), GRACE);
    },
    forget: () => clearTimeout(timer),
  };
}
