// The order that the process of a run gets.
import type { Who } from "../host/who.ts";

/** The order for a run; a runner process gets it as one JSON object on its stdin. */
export interface Order {
  id: string;
  /** Begin at this step. */
  from?: string | undefined;
  /** The git process that waits for its hook, see gate.ts. */
  git?: string | undefined;
  /** How long it may wait for its turn, in ms; without it, for ever. */
  wait?: number | undefined;
  /** Runs even if somebody has locked the app. */
  force?: boolean | undefined;
  /** The word for it in the audit log; without it, the run's kind. */
  what?: string | undefined;
  who: Who;
}
