// Signals to a whole process group.
import { codeOf } from "../../errors.ts";

const GRACE = 5_000;

/** Sends a signal to all of a group; does nothing when the group is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** The process group that a child leads. `end` sends SIGTERM, and SIGKILL later unless `forget` was called. */
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
