// Who types this: the login name, where from, and by which ssh key when sshd tells.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { environmentOf, processEntry } from "./process/process.ts";
import { loginName } from "./users.ts";

export interface Who {
  /** `root@203.0.113.5`, or the name alone; `system`: nobody, a unit of dp's own. */
  by: string;
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  key?: string;
}

// Units of dp's own set DP_BY: nobody typed what they run.
const LOGIN = ["SUDO_USER", "SSH_CONNECTION", "SSH_USER_AUTH", "DP_BY"] as const;

/** What tells who it is, for another dp that this one starts on their behalf. */
export function loginEnv(): Record<string, string> {
  return Object.fromEntries(LOGIN.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** Who starts this: the login name, before sudo, and where from when it came over ssh; `system`: dp by itself. */
export function starter(): string {
  if (process.env["DP_BY"] === "system") return "system";
  const name = process.env["SUDO_USER"] ?? loginName();
  const from = ofLogin("SSH_CONNECTION")?.split(" ")[0];
  return from ? `${name}@${from}` : name;
}

/** The same, with the key that sshd let in; it tells with `ExposeAuthInfo yes` in sshd_config. */
export function who(): Who {
  const key = keyIn(ofLogin("SSH_USER_AUTH"));
  return { by: starter(), ...(key === null ? {} : { key }) };
}

/** An address of the server as an ssh client reaches it. */
export interface SshServer {
  /** As it is written in a URL: IPv6 in brackets, a name where the address is not the one that the client used. */
  address: string;
  port: number;
}

/** The server's side of this login over ssh, or null when this is none. */
export function serverOfLogin(): SshServer | null {
  const [client = "", , server = "", port = ""] = ofLogin("SSH_CONNECTION")?.split(" ") ?? [];
  if (server === "" || !/^\d+$/.test(port)) return null;
  // A client from outside that ends at a private address came through a router, by an address that is not known here.
  const isTranslated = PRIVATE.test(server) && !PRIVATE.test(client);
  const address = server.includes(":") ? `[${server}]` : server;
  return { address: isTranslated || server.includes("%") ? hostname() : address, port: Number(port) };
}

const PRIVATE = /^(?:10|127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\.|^(?:::1$|f[cd]|fe80)/i;

// sudo keeps nothing of the login but its name; the shell above it has the rest.
function ofLogin(name: "SSH_CONNECTION" | "SSH_USER_AUTH"): string | null {
  const own = process.env[name] ?? null;
  if (own !== null || process.env["SUDO_USER"] === undefined) return own;
  for (let pid = process.ppid; pid > 1; pid = processEntry(pid)?.parent ?? 0) {
    const found = environmentOf(pid, name);
    if (found !== null) return found;
  }
  return null;
}

// Lines such as `publickey ssh-ed25519 AAAA…`, one for each way in which the login was proven.
function keyIn(file: string | null): string | null {
  if (file === null) return null;
  try {
    const blob = /^publickey \S+ ([A-Za-z0-9+/=]+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    if (blob === undefined) return null;
    const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(blob, "base64")).digest("base64");
    return `SHA256:${digest.replace(/=+$/, "")}`;
  } catch {
    return null; // gone with its session, or somebody else's
  }
}
