// Whether a program can be changed by root alone: sudo starts it for people who must not be root.
import { lstatSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { DpError } from "../errors.ts";

const STICKY = 0o1000;

/** Throws DpError "host" when somebody else could put another program in the place of one of these. */
export function requireRootsOwn(...paths: string[]): void {
  for (const path of paths)
    for (const place of [path, realpathSync(path)])
      for (let at = place; at !== "/"; at = dirname(at)) {
        const { uid, mode } = lstatSync(at);
        // In a folder such as /tmp only the owner of a name may change it.
        const isOpen = !lstatSync(at).isSymbolicLink() && (mode & 0o022) !== 0 && (mode & STICKY) === 0;
        if (uid === 0 && !isOpen) continue;
        throw new DpError("host", `somebody else than root can change ${at}, and keys would start it as root`, {
          hint: "as root: ./install.sh",
        });
      }
}
