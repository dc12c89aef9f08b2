// Who runs a command: the login name, the client address, and the ssh key when sshd reports it.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { argumentsOf, environmentOf, processEntry, userOf } from "./process/process.ts";
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
  const from = ofLogin("SSH_CONNECTION")?.split(" ")[0];
  return from ? `${name}@${from}` : name;
}

/**
 * The same, with the key: that of the gate, or the one that sshd reports with `ExposeAuthInfo yes` in sshd_config.
 */
export function who(): Who {
  const key = ownGate()?.key ?? keyIn(ofLogin("SSH_USER_AUTH"));
  return { by: starter(), ...(key === null ? {} : { key }) };
}

/** Who came in by a key: the name, and the key's fingerprint. */
export interface KeyHolder {
  name: string;
  key: string;
}

/** What the process that lets keys in was started for; null: the process is another one, or another user's. */
export function gateOf(pid: number): KeyHolder | null {
  const [name = "", key = "", ...more] = argumentsOf(pid).slice(SELF.length + 1);
  const isGate = [...SELF, "gate"].every((word, at) => argumentsOf(pid)[at] === word) && more.length === 0;
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
  const [client = "", , server = "", port = ""] = ofLogin("SSH_CONNECTION")?.split(" ") ?? [];
  if (server === "" || !/^\d+$/.test(port)) return null;
  // A public client at a private server address came through a router, whose public address is not known here.
  const isTranslated = PRIVATE.test(server) && !PRIVATE.test(client);
  const address = server.includes(":") ? `[${server}]` : server;
  return { address: isTranslated || server.includes("%") ? hostname() : address, port: Number(port) };
}

const PRIVATE = /^(?:10|127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\.|^(?:::1$|f[cd]|fe80)/i;

// sudo keeps only the name of the login; the shell above it has the rest.
function ofLogin(name: "SSH_CONNECTION" | "SSH_USER_AUTH"): string | null {
  const own = process.env[name] ?? null;
  if (own !== null || process.env["SUDO_USER"] === undefined) return own;
  for (let pid = process.ppid; pid > 1; pid = processEntry(pid)?.parent ?? 0) {
    const found = environmentOf(pid, name);
    if (found !== null) return found;
  }
  return null;
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
