// Who runs a command: the login name, the client address, and the ssh key when sshd reports it.
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { connectionOf } from "./process/connection.ts";
import { argumentsOf, processEntry, userOf } from "./process/process.ts";
import { SELF } from "./self.ts";
import { loginName } from "./users.ts";

export interface Who {
  /** `root@203.0.113.5`, or the name alone; `system`: one of dp's own units. */
  by: string;
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  key?: string;
}

// dp's own units set DP_BY: nobody typed their commands. The gate sets DP_KEY: the name that a key has.
const LOGIN = ["SUDO_USER", "SSH_CONNECTION", "SSH_USER_AUTH", "DP_BY", "DP_KEY"] as const;

/** The variables that identify the user, for another dp that this one starts on their behalf. */
export function loginEnv(): Record<string, string> {
  return Object.fromEntries(LOGIN.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** Who started this process: the login name before sudo, and the client address for ssh; `system`: dp itself. */
export function starter(): string {
  if (process.env["DP_BY"] === "system") return "system";
  const name = ownGate()?.name ?? process.env["SUDO_USER"] ?? loginName();
  const from = ofConnection()?.split(" ")[0];
  return from ? `${name}@${from}` : name;
}

/**
 * The same, with the key: that of the gate, or the one that sshd reports with `ExposeAuthInfo yes` in sshd_config. Behind
 * sudo the report would be the user's own word.
 */
export function who(): Who {
  const isSudo = process.env["SUDO_USER"] !== undefined;
  const key = ownGate()?.key ?? (isSudo ? null : keyIn(process.env["SSH_USER_AUTH"] ?? null));
  return { by: starter(), ...(key === null ? {} : { key }) };
}

/** Who came in by a key: the name, and the key's fingerprint. */
export interface KeyHolder {
  name: string;
  key: string;
}

/** What the process that lets keys in was started for; null: the process is another one, or another user's. */
export function gateOf(pid: number): KeyHolder | null {
  const argv = argumentsOf(pid);
  const [name, key, ...more] = argv.slice(SELF.length + 1);
  if (name === undefined || key === undefined || more.length > 0) return null;
  const isGate = [...SELF, "gate"].every((word, at) => argv[at] === word);
  return isGate && userOf(pid) === process.getuid?.() ? { name, key } : null;
}

let gate: KeyHolder | null | undefined;

/** The gate that this process, or one above it, is. The variable alone proves nothing. */
function ownGate(): KeyHolder | null {
  const name = process.env["DP_KEY"];
  if (name === undefined) return null;
  gate ??= above(gateOf);
  return gate?.name === name ? gate : null;
}

/** The first answer about this process or one above it, or null. */
function above<T>(ask: (pid: number) => T | null): T | null {
  for (let pid = process.pid; pid > 1; pid = processEntry(pid)?.parent ?? 0) {
    const found = ask(pid);
    if (found !== null) return found;
  }
  return null;
}

/** The server's address as an ssh client reaches it. */
export interface SshServer {
  /** As in a URL: IPv6 in brackets, and the server's name where the client used an address that is not known here. */
  address: string;
  port: number;
}

/** The server's side of this ssh login, or null when this is not an ssh login. */
export function serverOfLogin(): SshServer | null {
  const [client = "", , server = "", port = ""] = ofConnection()?.split(" ") ?? [];
  if (server === "" || !/^\d+$/.test(port)) return null;
  // A public client at a private server address came through a router, whose public address is not known here.
  const isTranslated = PRIVATE.test(server) && !PRIVATE.test(client);
  const address = server.includes(":") ? `[${server}]` : server;
  return { address: isTranslated || server.includes("%") ? hostname() : address, port: Number(port) };
}

const PRIVATE = /^(?:10|127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\.|^(?:::1$|f[cd]|fe80)/i;

// sudo tells the name of the login. What the processes above it say of it is that user's own word, so the connection is
// the one that sshd holds.
function ofConnection(): string | null {
  if (process.env["SUDO_USER"] === undefined) return process.env["SSH_CONNECTION"] ?? null;
  return above((pid) => (isSshd(pid) ? connectionOf(pid) : null));
}

// By the program itself: the name of a process is anybody's to choose.
function isSshd(pid: number): boolean {
  try {
    return userOf(pid) === 0 && /^\/usr\/.*\/sshd(?:-session)?$/.test(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return false; // gone, or not to be seen
  }
}

// Lines such as `publickey ssh-ed25519 AAAA…`, one for each authentication method that was used.
function keyIn(file: string | null): string | null {
  if (file === null) return null;
  try {
    const blob = /^publickey \S+ ([A-Za-z0-9+/=]+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    if (blob === undefined) return null;
    const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(blob, "base64")).digest("base64");
    return `SHA256:${digest.replace(/=+$/, "")}`;
  } catch {
    return null; // removed with its session, or owned by another user
  }
}
