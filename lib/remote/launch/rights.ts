// The third step of `dp launch`: the login is root, or becomes root by sudo without a password, and there is room.
import { DpError } from "../../errors.ts";
import type { Ssh } from "../ssh.ts";
import type { Found } from "./reach.ts";

/** What dp and its Bun take while they are sent and installed, in bytes. */
const ROOM = 500 * 1024 ** 2;

/** Throws DpError "host" when dp could not be installed or apps not set up. `isNew`: dp has to be sent. */
export function requireRights(ssh: Ssh, { root, user, disk, platform, system }: Found, isNew: boolean): void {
  if (!platform.startsWith("Linux "))
    throw new DpError("host", `${ssh.name} is ${platform.split(" ")[0]}, and dp needs Linux`);
  if (root === "no")
    throw new DpError("host", `${user} is not root on ${ssh.server.host}, and sudo asks for a password`, {
      hint: `dp launch root@${ssh.server.host}, or as root there: echo '${user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/${user}`,
    });
  if (isNew && disk !== null && disk < ROOM)
    throw new DpError("host", `${ssh.server.host} (${system}) has ${mb(disk)} MB free, and dp needs ${mb(ROOM)} MB`, {
      hint: `make room there: ssh ${ssh.name} df -h /opt`,
    });
}

const mb = (bytes: number) => Math.floor(bytes / 1024 ** 2);
