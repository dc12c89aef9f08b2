// Giving up rights: how a program of the app is started by root.
import { existsSync, fchownSync } from "node:fs";
import { requireAccount } from "../passwd.ts";
import { SYSTEM_PATH } from "../../paths.ts";

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

/** The argv that runs `argv` as `user` with nothing of root's left, when dp is root. */
export function asUser(argv: readonly string[], user: string | undefined): string[] {
  if (!isOther(user)) return [...argv];
  return [
    SETPRIV,
    `--reuid=${user}`,
    `--regid=${requireAccount(user).gid}`,
    "--init-groups",
    ...CONFINED,
    "--",
    ...argv,
  ];
}

/** A program and its environment. */
export interface Command {
  argv: string[];
  env: Record<string, string>;
}

// What no loader, C library or shell heeds, and by which processes are told apart from their first moment on.
const HARMLESS = /^(?:HOME|DP_[A-Z_]+)$/;

// By the user, in the end: the environment is unpacked, and the folder entered; on the way there may be links of the app's.
const UNPACK = `DP_AT=0
while [ "$DP_AT" -lt "$DP_VALUES" ]; do
  eval "command export \\"\\$DP_VALUE_$DP_AT\\" 2>/dev/null; unset DP_VALUE_$DP_AT"
  DP_AT=$((DP_AT + 1))
done
unset DP_AT DP_VALUES
cd -- "$1" && shift && exec "$@"`;

/**
 * The command that runs `argv` as `user` in `folder` with `env`. Root's programs on the way, setpriv among them, get
 * none of these variables as such: a name such as GCONV_PATH would have them load code.
 */
export function commandOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  user: string | undefined,
  folder = "/",
): Command {
  if (!isOther(user)) return { argv: [...argv], env };
  const entries = Object.entries(env);
  const packed = entries.filter(([name]) => !HARMLESS.test(name)).map(([name, value]) => `${name}=${value}`);
  return {
    argv: asUser(["/bin/sh", "-c", UNPACK, "sh", folder, ...argv], user),
    env: Object.fromEntries([
      ...entries.filter(([name]) => HARMLESS.test(name)),
      ["PATH", SYSTEM_PATH],
      ["DP_VALUES", String(packed.length)],
      ...packed.map((entry, at) => [`DP_VALUE_${at}`, entry]),
    ]),
  };
}

/**
 * As commandOf, for a child with a terminal of its own on stdin, which becomes the user's: programs open it by its name,
 * and root made it.
 */
export function commandInTerminal(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  user: string | undefined,
  folder = "/",
): Command {
  const command = commandOf(argv, env, user, folder);
  if (!isOther(user)) return command;
  // Before the rights are given up, and on its own stdin: what the user's program holds by then may be any file.
  const line = '"$1" -- "$2" /proc/self/fd/0 && shift 2 && exec "$@"';
  return {
    argv: ["/bin/sh", "-c", line, "sh", CHOWN, `${user}:${requireAccount(user).gid}`, ...command.argv],
    env: command.env,
  };
}
