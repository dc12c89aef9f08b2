// The TCP connection that a process holds, as the kernel knows it.
import { addressOf, socketsOf } from "./listener.ts";
import { readProc } from "./proc.ts";

const ESTABLISHED = "01";

/** The four words of SSH_CONNECTION for a process's TCP connection, `CLIENT PORT SERVER PORT`, or null. */
export function connectionOf(pid: number): string | null {
  const own = new Set(socketsOf(pid));
  for (const family of ["tcp", "tcp6"])
    for (const line of (readProc(`${pid}/net/${family}`) ?? "").split("\n")) {
      // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
      const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state === ESTABLISHED && own.has(inode)) return `${end(remote)} ${end(local)}`;
    }
  return null;
}

function end(text: string): string {
  const [address = "", port = ""] = text.split(":");
  return `${addressOf(address)} ${Number.parseInt(port, 16)}`;
}
