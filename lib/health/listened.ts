// Waiting until somebody listens on a port: one look for all ports that are waited for.
import { within } from "../host/within.ts";
import { listenerInode } from "../host/process/socket-owner.ts";

/** Milliseconds between two looks, and how many ports the kernel is asked for at each. */
const [LOOK, AT_ONCE] = [5, 4];

interface Wait {
  port: number;
  listened(): void;
}

const waits = new Set<Wait>();
let isLooking = false;

/** Resolves when somebody listens on the port of 127.0.0.1, or after `ms`. */
export async function untilListened(port: number, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wait = { port, listened: resolve };
  waits.add(wait);
  if (!isLooking) void look();
  try {
    await within(ms, promise);
  } finally {
    waits.delete(wait);
  }
}

async function look(): Promise<void> {
  isLooking = true;
  while (waits.size > 0) {
    await Bun.sleep(LOOK);
    for (const wait of [...waits].slice(0, AT_ONCE)) {
      if (listenerInode("127.0.0.1", wait.port) !== null) wait.listened();
      // The others come first at the next look.
      else if (waits.delete(wait)) waits.add(wait);
    }
  }
  isLooking = false;
}
