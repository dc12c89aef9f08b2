// What the process that works on a run is told.
import type { Who } from "../host/who.ts";

/** What a runner process is told; one of its own gets it as one JSON object on its stdin. */
export interface Order {
  id: string;
  /** Begin at this step. */
  from?: string | undefined;
  /** The process of git that waits for its hook, see gate.ts. */
  git?: string | undefined;
  /** How long it may wait for its turn, in ms; without, as long as it takes. */
  wait?: number | undefined;
  /** It runs although somebody has locked the app. */
  force?: boolean | undefined;
  /** What the audit log calls it; without, by its kind. */
  what?: string | undefined;
  who: Who;
}
