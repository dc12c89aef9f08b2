// Passes on large bodies without a copy of each piece in memory of its own.
import { receive, received } from "../../host/process/receive.ts";
import { type Body, LENGTH } from "./body.ts";
import { PUMP_SIZE } from "./limits.ts";
import { type Outlet, fdOf, isEmpty, send, sendLate } from "./outlet.ts";

/**
 * Takes what has arrived of a body with a length directly from its socket, and sends it on while the other side takes it.
 * Returns how many bytes. Both sockets are plain TCP, and all that Bun has read was passed on.
 */
export function pump(from: Bun.Socket<unknown> | null, to: Outlet, body: Body): number {
  if (from === null || to.socket === null || body.kind !== LENGTH) return 0;
  sendLate(to);
  const fd = fdOf(from);
  let pumped = 0;
  while (!body.isDone && pumped < PUMP_SIZE && isEmpty(to)) {
    const size = receive(fd, body.left);
    if (size === 0) break;
    pumped += size;
    body.left -= size;
    body.isDone = body.left === 0;
    send(to, received, 0, size);
    // These bytes are overwritten next: what was not taken of them is copied.
    if (!isEmpty(to)) to.queue[0] = Buffer.from(to.queue[0]!);
  }
  return pumped;
}
