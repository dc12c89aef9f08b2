// Dropping privileges: how root starts a program of the app.
import { existsSync, fchownSync } from "node:fs";
import { DpError } from "../../errors.ts";
import { accountNamed, requireAccount } from "../passwd.ts";
import { SYSTEM_PATH } from "../../paths.ts";

/**
 * The path of a system program. It is never looked up on PATH: the child's PATH begins with folders of the app, and this
 * still runs as root.
 */
export const program = (name: string) =>
  ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map((folder) => `${folder}/${name}`).find(existsSync) ??
  `/usr/bin/${name}`;
const SETPRIV = program("setpriv");
const CHOWN = program("chown");

const CONFINED = ["--no-new-privs", "--inh-caps=-all"];

/** A uid that no user has and no process runs as, between the range that systemd allocates and nobody's. */
export const STRANGER = 65533;

/** The argv that runs `argv` as a user that no process of the app or of another service can interfere with. */
export function asStranger(argv: readonly string[]): string[] {
  return [SETPRIV, `--reuid=${STRANGER}`, `--regid=${STRANGER}`, "--clear-groups", ...CONFINED, "--", ...argv];
}

/** Gives a pipe to the user who will write to it: only the owner can open it by its name, /dev/stderr. */
export function givePipe(fd: number, user: string | undefined): void {
  if (!isOther(user)) return;
  const { uid, gid } = requireAccount(user);
  fchownSync(fd, uid, gid);
}

/**
 * Whether a program of that user runs under another uid than dp itself. Throws DpError "host" when it should and dp is not
 * root: it would run as the caller.
 */
export function isOther(user: string | undefined): user is string {
  if (user === undefined || user === "") return false;
  const own = process.getuid?.();
  if (own === 0) return user !== "root";
  if (accountNamed(user)?.uid === own) return false;
  throw new DpError("host", `dp is not root, and runs nothing as ${user}`, { hint: "sudo dp ..." });
}

/** The argv that runs `argv` as `user` with all of root's privileges dropped, when dp is root. */
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

// Variables that no loader, C library or shell reads. Processes are identified by them from their start.
const HARMLESS = /^(?:HOME|DP_[A-Z_]+)$/;

// Runs as the user: it unpacks the environment and enters the folder, whose path may contain links that the app made.
const UNPACK = `DP_AT=0
while [ "$DP_AT" -lt "$DP_VALUES" ]; do
  eval "command export \\"\\$DP_VALUE_$DP_AT\\" 2>/dev/null; unset DP_VALUE_$DP_AT"
  DP_AT=$((DP_AT + 1))
done
unset DP_AT DP_VALUES
cd -- "$1" && shift && exec "$@"`;

/**
 * The command that runs `argv` as `user` in `folder` with `env`. Programs that run as root before that, such as
 * setpriv, get these variables only in packed form: GCONV_PATH, for example, would make them load code.
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
 * As commandOf, for a child with its own terminal on stdin. The terminal is given to the user: root made it, and
 * programs open it by its name.
 */
export function commandInTerminal(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  user: string | undefined,
  folder = "/",
): Command {
  const command = commandOf(argv, env, user, folder);
  if (!isOther(user)) return command;
  // Before the privileges are dropped, and on the script's own stdin: later, stdin of the user's program may be any file.
  const line = '"$1" -- "$2" /proc/self/fd/0 && shift 2 && exec "$@"';
  return {
    argv: ["/bin/sh", "-c", line, "sh", CHOWN, `${user}:${requireAccount(user).gid}`, ...command.argv],
    env: command.env,
  };
}
