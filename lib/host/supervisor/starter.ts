// Starts supervisors: at once, or ahead of time so that they are ready when needed.
import { closeSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { pipe } from "../process/libc.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";

/** Starts a supervisor. With `gate` it waits until it can read a byte there, and exits when the pipe is closed. */
export function spawnSupervisor(spec: string, gate?: number): Bun.Subprocess {
  const env = { ...plainEnv(), ...(gate === undefined ? {} : { DP_GATE: "3" }) };
  const stdio = ["ignore", "ignore", "ignore", ...(gate === undefined ? [] : [gate])] as const;
  const child = Bun.spawn([...supervisor(), spec], { cwd: "/", env, stdio: [...stdio], detached: true });
  child.unref();
  return child;
}

/** Supervisors that are waiting, by their specs, each with the write end of the pipe that holds it back. */
const waiting = new Map<string, { child: Bun.Subprocess; gate: number }>();

/** Starts the supervisor of a spec that is not written yet. It exits with this process unless `sendOff` was called. */
export function prepare(spec: string): void {
  if (waiting.has(spec)) return;
  const [read, gate] = pipe();
  try {
    waiting.set(spec, { child: spawnSupervisor(spec, read), gate });
  } finally {
    closeSync(read);
  }
}

/** Releases the waiting supervisor of a spec; null: there is none, or it has exited. */
export function sendOff(spec: string): Bun.Subprocess | null {
  const found = waiting.get(spec);
  if (found === undefined) return null;
  waiting.delete(spec);
  try {
    writeSync(found.gate, "\n");
    return found.child.exitCode === null && found.child.signalCode === null ? found.child : null;
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return null;
  } finally {
    closeSync(found.gate);
  }
}
