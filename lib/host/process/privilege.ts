// Giving up rights: how a program of the app is started by root.
import { existsSync, fchownSync } from "node:fs";
import { requireAccount } from "../passwd.ts";

/** Where a program of the system is. Never by PATH: the child's begins with folders of the app, and this still runs as root. */
export const program = (name: string) =>
  ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map((folder) => `${folder}/${name}`).find(existsSync) ??
  `/usr/bin/${name}`;
const SETPRIV = program("setpriv");
const CHOWN = program("chown");

const CONFINED = ["--no-new-privs", "--inh-caps=-all"];

/** A number that no user has and no process runs as: between those that systemd gives away and that of nobody. */
export const STRANGER = 65533;

/** The argv that runs `argv` as nobody whom any process of the app, or of another service, could get hold of. */
export function asStranger(argv: readonly string[]): string[] {
  return [SETPRIV, `--reuid=${STRANGER}`, `--regid=${STRANGER}`, "--clear-groups", ...CONFINED, "--", ...argv];
}

/** Gives a pipe to the user that shall write into it: by its name, /dev/stderr, only its owner can open it. */
export function givePipe(fd: number, user: string | undefined): void {
  if (!isOther(user)) return;
  const { uid, gid } = requireAccount(user);
  fchownSync(fd, uid, gid);
}

/** Whether a program of that user is run by somebody else than dp itself. */
export const isOther = (user: string | undefined): user is string =>
  user !== undefined && user !== "" && user !== "root" && process.getuid?.() === 0;

/**
 * The argv that runs `argv` as `user` with nothing of root's left, when dp is root. It enters `folder` as that user: on
 * the way there may be links that the app made.
 */
export function asUser(argv: readonly string[], user: string | undefined, folder = "/"): string[] {
  if (!isOther(user)) return [...argv];
  const rights = ["--init-groups", ...CONFINED];
  const inside = folder === "/" ? argv : ["/bin/sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", folder, ...argv];
  return [SETPRIV, `--reuid=${user}`, `--regid=${requireAccount(user).gid}`, ...rights, "--", ...inside];
}

/**
 * As asUser, for a child with a terminal of its own on stdin, which becomes the user's: programs open it by its name,
 * and root made it.
 */
export function asUserInTerminal(argv: readonly string[], user: string | undefined, folder = "/"): string[] {
  const inside = asUser(argv, user, folder);
  if (!isOther(user)) return inside;
  // Before the rights are given up, and on its own stdin: what the user's program holds by then may be any file.
  const line = '"$1" -- "$2" /proc/self/fd/0 && shift 2 && exec "$@"';
  return ["/bin/sh", "-c", line, "sh", CHOWN, `${user}:${requireAccount(user).gid}`, ...inside];
}
