// How often something is looked at again that tells nobody when it changes.
import type { Io } from "./io.ts";

/** How many waits of this process for the next look are under way. */
let waits = 0;

/** The longest wait that others are the reason of, in ms: nobody waits much longer than needed. */
const MOST = 250;

/**
 * Waits until the next look, `ms` milliseconds, and as many times as long as others wait meanwhile: hundreds of looks a second
 * would take the processor from the very processes that are looked at, as after a boot.
 */
export async function pace(ms: number, io: Pick<Io, "sleep">): Promise<void> {
  waits++;
  try {
    await io.sleep(Math.min(ms * waits, Math.max(ms, MOST)));
  } finally {
    waits--;
  }
}
