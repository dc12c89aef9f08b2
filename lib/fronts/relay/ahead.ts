// Lets apps send large answers far ahead of the relay, which then costs less: on few connections, because a client may
// stop taking one at any moment.
import { limitUnread } from "../../host/process/socket-buffers.ts";
import { AHEAD, AHEAD_CONNECTIONS } from "./limits.ts";
import { isScarce } from "./memory.ts";
import { fdOf } from "./outlet.ts";
import type { Upstream } from "./types.ts";

/** The connections with large receive buffers, which keep them until they are closed, and some that are closed. */
const ahead = new Set<Upstream>();

/** Gives a connection to an app a large receive buffer, when there is one left and the kernel has room. */
export function readAhead(upstream: Upstream): void {
  if (upstream.socket === null || upstream.isAhead || upstream.isFixed || isScarce()) return;
  if (ahead.size >= AHEAD_CONNECTIONS) forgetClosed();
  if (ahead.size >= AHEAD_CONNECTIONS) return;
  ahead.add(upstream);
  upstream.isAhead = true;
  // With its client it is closed, and another connection may have the buffer.
  upstream.isShared = false;
  limitUnread(fdOf(upstream.socket), AHEAD);
}

function forgetClosed(): void {
  for (const upstream of ahead) if (upstream.socket === null) ahead.delete(upstream);
}
