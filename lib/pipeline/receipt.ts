// What a run says, as whoever runs it hears it.
import type { Log } from "../host/io.ts";

/** The log of a whole run; whoever makes it decides where the lines go. */
export interface Receipt extends Log {
  /** A step begins: what it says until `end` belongs to it. */
  begin(step: string): void;
  /** The step is over after `ms`; `failed` when it threw. */
  end(step: string, ms: number, failed?: boolean): void;
  /** A whole line, as it is. */
  say(line: string): void;
  /** The last lines of output of the step that ended last: what the user has just read. */
  lastOutput(): readonly string[];
}
