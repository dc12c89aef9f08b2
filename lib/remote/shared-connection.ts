// The connection that dp's commands share: options for OpenSSH, which keeps it for a minute after the last command.
// A connection is somebody's: it has their key, and what that key may do. So each socket has a name that is made of all
// that chooses a key, and a command never runs as somebody else.
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The longest path of a Unix socket. */
const LONGEST = 104;
/** What ssh puts after the folder: "/", 40 hex digits, and a suffix while it makes the socket. */
const NAME = 58;
/** Without an answer for three times as long a connection has been cut: a laptop that slept does not hang. */
const ALIVE = 15;
/** What shells and terminals change from one command to the next, and no ssh reads. */
const PASSING = ["_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL"];

/**
 * Options for a shared connection. `settings` is what `ssh -G` prints for the server, `argv` how it was started. None where the user has a
 * ControlPath, where ssh is not OpenSSH, and where the socket could not lie in a folder that only the user can enter.
 */
export function sharing(settings: string, argv: readonly string[]): string[] {
  const isOpenSsh = /^hostname /m.test(settings);
  if (!isOpenSsh || /^controlpath /m.test(settings)) return [];
  const folder = socketFolder();
  if (folder === null) return [];
  const alive = /^serveraliveinterval 0$/m.test(settings) ? ["-o", `ServerAliveInterval=${ALIVE}`] : [];
  const path = `${folder}/${socketName(settings, argv)}`;
  return ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", `ControlPath=${path}`, ...alive];
}

/**
 * 40 hex digits of all that chooses the server and the key: the settings, the command, the files of keys, the folder, and
 * the environment as a whole, because a script or a line of the user's in place of ssh may read any of it.
 */
function socketName(settings: string, argv: readonly string[]): string {
  const environment = Object.entries(process.env).filter(([name]) => !PASSING.includes(name));
  const files = [...settings.matchAll(/^(?:identity|certificate)file (.+)$/gm)].map(([, path]) => stateOf(path!));
  const all = [settings, argv, process.cwd(), environment.sort(([a], [b]) => (a < b ? -1 : 1)), files];
  return createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 40);
}

/** Of a key's file, what differs when another one has taken its place; null: there is none. */
function stateOf(path: string): string | null {
  const found = statSync(path.replace(/^~(?=\/)/, homedir()), { throwIfNoEntry: false, bigint: true });
  return found === undefined ? null : [found.dev, found.ino, found.size, found.mtimeNs].join(" ");
}

/** The folder of the sockets, made if it is missing; null: it has no place. */
function socketFolder(): string | null {
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const folder = runtime ? join(runtime, "dp") : join(process.env["HOME"] || homedir(), ".cache/dp/s");
  // ssh would read a blank as the end of the path, "%" and "${" as something to replace.
  if (Buffer.byteLength(folder) + NAME > LONGEST || !/^\/[^\s"'\\%$]*$/.test(folder)) return null;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const found = lstatSync(folder);
    // Whoever can write there could put a socket of theirs in place of ours.
    if (!found.isDirectory() || found.uid !== process.getuid?.()) return null;
    if ((found.mode & 0o077) !== 0) chmodSync(folder, 0o700);
    return folder;
  } catch {
    return null; // a full or read-only disk: the command works without it
  }
}
