// The contract of a run's log, as the engine calls it.
import type { Log } from "../host/io.ts";

/** The log of a whole run; its maker decides where the lines go. */
export interface Receipt extends Log {
  /** A step begins: all output until `end` belongs to it. */
  begin(step: string): void;
  /** The step is over after `ms`; `failed` when it threw. */
  end(step: string, ms: number, failed?: boolean): void;
  /** Prints a whole line as it is. */
  say(line: string): void;
  /** The last lines of output of the last finished step: what the user has just read. */
  lastOutput(): readonly string[];
}
