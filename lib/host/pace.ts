// How often something is looked at again that tells nobody when it changes.
import type { Io } from "./io.ts";

/** How many waits of this process for the next look are under way. */
let waits = 0;

/**
 * Waits until the next look, `ms` milliseconds, and as many times as long as others wait meanwhile: hundreds of looks a second
 * would take the processor from the very processes that are looked at, as after a boot.
 */
export async function pace(ms: number, io: Pick<Io, "sleep">): Promise<void> {
  waits++;
  try {
    await io.sleep(ms * waits);
  } finally {
    waits--;
  }
}
