// Whether a request to an instance would be in vain, because nobody listens on its port.
import { readlinkSync } from "node:fs";
import { listenerInode, tellsOwners } from "../host/process/socket-owner.ts";

/** The network namespace of a process; null: it may not be seen, or is gone. */
function networkOf(pid: number | "self"): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return null;
  }
}

/**
 * Whether nobody listens where an instance with that main process answers. False when that is not known: a container has a
 * network of its own, whose sockets are not seen from here.
 */
export function isUnheard(pid: number | null, port: number): boolean {
  if (pid === null || !tellsOwners() || listenerInode("127.0.0.1", port) !== null) return false;
  const network = networkOf(pid);
  return network !== null && network === networkOf("self");
}
