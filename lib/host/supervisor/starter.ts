// Starts supervisors: at once, or ahead of time so that they are ready when needed.
import { closeSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { pipe } from "../process/libc.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";

/** The supervisor that an instance was given. */
export interface Starting {
  /** Whether the instance has no supervisor any more, nor a guard that will start one. */
  isGone(): boolean;
  /** Whether the supervisor has others, too. */
  isShared: boolean;
}

export const hasEnded = (child: Bun.Subprocess) => child.exitCode !== null || child.signalCode !== null;

/** Starts a supervisor. With `gate` it waits until it can read a byte there, and exits when the pipe is closed. */
function spawn(spec: string, more: Record<string, string>, gate?: number): Bun.Subprocess {
  const env = { ...plainEnv(), ...more };
  const stdio = ["ignore", "ignore", "ignore", ...(gate === undefined ? [] : [gate])] as const;
  const child = Bun.spawn([...supervisor(), spec], { cwd: "/", env, stdio: [...stdio], detached: true });
  child.unref();
  return child;
}

const startingOf = (child: Bun.Subprocess): Starting => ({ isGone: () => hasEnded(child), isShared: false });

/** Starts the supervisor of a spec. */
export const spawnSupervisor = (spec: string): Starting => startingOf(spawn(spec, {}));

/** Starts it in place of one that was killed: it ends what that one may have begun and not recorded. */
export const spawnSuccessor = (spec: string): Starting => startingOf(spawn(spec, { DP_AGAIN: "1" }));

/** Supervisors that are waiting, by their specs, each with the write end of the pipe that holds it back. */
const waiting = new Map<string, { child: Bun.Subprocess; gate: number }>();

/** Starts the supervisor of a spec that is not written yet. It exits with this process unless `sendOff` was called. */
export function prepare(spec: string): void {
  if (waiting.has(spec)) return;
  const [read, gate] = pipe();
  try {
    waiting.set(spec, { child: spawn(spec, { DP_GATE: "3" }, read), gate });
  } finally {
    closeSync(read);
  }
}

/** Releases the waiting supervisor of a spec; null: there is none, or it has exited. */
export function sendOff(spec: string): Starting | null {
  const found = waiting.get(spec);
  if (found === undefined) return null;
  waiting.delete(spec);
  try {
    writeSync(found.gate, "\n");
    return hasEnded(found.child) ? null : startingOf(found.child);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
    return null;
  } finally {
    closeSync(found.gate);
  }
}
