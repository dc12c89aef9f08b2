// Checks who is at the other end of a connection to an app, before a byte of a request is sent there.
import type { Target } from "../../contracts/front.ts";
import { connectionUid, isElsewhere, listenerUid, tellsOwners } from "../../host/process/socket-owner.ts";
import { log } from "./log.ts";

const HOST = "127.0.0.1";

/** The other end belongs to the app's own user, or to nobody (any more). */
export const OWN = -1;
export const NOBODY = -2;

/** The owner of the app's end of a connection from `localPort` to the target: OWN, NOBODY, or another user's uid. */
export function ownerAt({ port, uid }: Target, localPort: number): number {
  if (uid === undefined || !tellsOwners()) return OWN;
  const [app, relay] = [
    { address: HOST, port },
    { address: HOST, port: localPort },
  ];
  const found = connectionUid(app, relay);
  if (found !== null) return found === uid ? OWN : found;
  // A container engine run by root may forward the connection with the packet filter: then no socket here is its other
  // end.
  return uid === 0 && isElsewhere(app, relay) ? OWN : NOBODY;
}

/**
 * Whether somebody on this machine listens there. Null when that is not known: a container engine run by root may forward a
 * connection all the same.
 */
export const isHeard = ({ port, uid }: Target): boolean | null =>
  uid === 0 || !tellsOwners() ? null : listenerUid(HOST, port) !== null;

/** Logs when this kernel cannot name the owner of a socket. */
export function checkOwners(): void {
  if (!tellsOwners())
    log("this kernel does not report the owner of a socket: the relay cannot check who answers for an app");
}
