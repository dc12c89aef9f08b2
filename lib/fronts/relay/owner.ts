// Who is at the other end of a connection to an app: asked before a byte of a request is sent there.
import type { Target } from "../../contracts/front.ts";
import { connectionUid, isElsewhere, tellsOwners } from "../../host/process/socket-owner.ts";
import { log } from "./log.ts";

const HOST = "127.0.0.1";

/** The app's own user has the other end; nobody has it (any more). */
export const OWN = -1;
export const NOBODY = -2;

/** Whose the app's end is of a connection that was opened from `localPort` to the target: OWN, NOBODY, or another's uid. */
export function ownerAt({ port, uid }: Target, localPort: number): number {
  if (uid === undefined || !tellsOwners()) return OWN;
  const [app, relay] = [
    { address: HOST, port },
    { address: HOST, port: localPort },
  ];
  const found = connectionUid(app, relay);
  if (found !== null) return found === uid ? OWN : found;
  // An engine of root's may lead the connection into a container by the packet filter: no socket here has that end.
  return uid === 0 && isElsewhere(app, relay) ? OWN : NOBODY;
}

/** Says in the log when this kernel leaves the relay without an answer. */
export function checkOwners(): void {
  if (!tellsOwners()) log("this kernel does not tell whose a socket is: the relay cannot check who answers for an app");
}
