// Ending processes, however they are found: SIGTERM first, then SIGKILL.
import { codeOf, DpError } from "../../errors.ts";
import { isAlive } from "./process.ts";

const GIVE_UP = 10_000;

/**
 * Ends whatever `find` finds until it finds nothing: SIGTERM once, SIGKILL after `timeout` ms. Throws DpError "command"
 * when processes survive SIGKILL for ten seconds.
 */
export async function endAll(find: () => number[], timeout: number): Promise<void> {
  const begun = performance.now();
  const told = new Set<number>();
  for (let delay = 5; ; delay = Math.min(delay * 1.5, 100)) {
    // Two reads: one read of /proc may miss both a process that forks and exits meanwhile and its child.
    const pids = [...new Set([...find(), ...find()])];
    if (pids.length === 0) return;
    const late = performance.now() - begun - timeout;
    if (late > GIVE_UP) throw new DpError("command", `processes ${pids.join(", ")} do not end, not even by SIGKILL`);
    for (const pid of pids) {
      if (late >= 0) signal(pid, "SIGKILL");
      else if (!told.has(pid)) {
        signal(pid, "SIGTERM");
        signal(pid, "SIGCONT"); // a stopped process would never see it
      }
      told.add(pid);
    }
    await untilGone(pids, late < 0 ? Math.min(delay, -late) : delay);
  }
}

/** Waits until all of these processes are gone, at most `ms`. Checking them is cheaper than another look at all processes. */
async function untilGone(pids: readonly number[], ms: number): Promise<void> {
  const end = performance.now() + ms;
  do await Bun.sleep(Math.min(5, ms));
  while (performance.now() < end && pids.some((pid) => isAlive(pid)));
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== "ESRCH" && codeOf(error) !== "EPERM") throw error;
  }
}
