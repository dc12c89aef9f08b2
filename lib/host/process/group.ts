// Signals to a whole process group.
import { codeOf } from "../../errors.ts";

const GRACE = 5_000;
/** How long a group whose user has gone may take to obey SIGHUP, in ms. */
const HANG_UP = 2_000;

/** Sends a signal to all of a group; does nothing when the group is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** Ends a group whose user has gone: SIGHUP, SIGTERM two seconds later, SIGKILL when it takes longer than `patience` ms. */
export async function hangUp(pid: number, patience: number): Promise<void> {
  for (const [signal, wait] of [
    ["SIGHUP", HANG_UP],
    ["SIGTERM", patience],
    ["SIGKILL", 0],
  ] as const) {
    signalGroup(pid, signal);
    const end = performance.now() + wait;
    while (isThere(pid) && performance.now() < end) await Bun.sleep(20);
    if (!isThere(pid)) return;
  }
}

function isThere(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch (error) {
    return codeOf(error) !== "ESRCH";
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
