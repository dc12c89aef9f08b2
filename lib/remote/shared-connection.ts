// The connection that dp's commands share: options for OpenSSH, which keeps it for a minute after the last command.
import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The longest path of a Unix socket. */
const LONGEST = 104;
/** What ssh puts after the folder: "/", 40 hex digits, and a suffix while it makes the socket. */
const NAME = 58;
/** Without an answer for three times as long a connection has been cut: a laptop that slept does not hang. */
const ALIVE = 15;

/**
 * Options for a shared connection. `settings` is what `ssh -G` prints for the server. None where the user has a
 * ControlPath, where ssh is not OpenSSH, and where the socket could not lie in a folder that only the user can enter.
 */
export function sharing(settings: string): string[] {
  const isOpenSsh = /^hostname /m.test(settings);
  if (!isOpenSsh || /^controlpath /m.test(settings)) return [];
  const folder = socketFolder();
  if (folder === null) return [];
  const alive = /^serveraliveinterval 0$/m.test(settings) ? ["-o", `ServerAliveInterval=${ALIVE}`] : [];
  return ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", `ControlPath=${folder}/%C`, ...alive];
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
