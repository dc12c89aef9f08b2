// The proof that a new key is let in: a login by loopback, through the real sshd.
import { closeSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { memoryFile } from "../host/process/memory-file.ts";
import { LOGIN } from "./places.ts";
import { sshdSettings } from "./sshd.ts";

const FOLDER = "/etc/ssh";
const LIMIT = 30_000;

/** The public keys of this host, `ssh-ed25519 AAAA…`, without comments. */
export function hostKeys(): string[] {
  const files = readdirSync(FOLDER).filter((name) => /^ssh_host_.*_key\.pub$/.test(name));
  const lines = files.sort().map((name) => readFileSync(`${FOLDER}/${name}`, "utf8").trim().split(/\s+/));
  return lines.map(([type = "", blob = ""]) => `${type} ${blob}`);
}

/** A line of known_hosts for each of the host's keys. */
export const knownHosts = (host: string, port: number): string[] =>
  hostKeys().map((key) => `${port === 22 ? host : `[${host}]:${port}`} ${key}`);

/** Where sshd listens, as this machine reaches it. */
async function listening(io: Io): Promise<{ host: string; port: number }> {
  const settings = await sshdSettings(io);
  const [, address = "0.0.0.0", port = "22"] =
    /^\[?([^\]]*)\]?:(\d+)$/.exec(settings?.get("listenaddress")?.[0] ?? "") ?? [];
  const host = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  return { host, port: Number(port) };
}

/** Logs in with a private key. Throws DpError "host" with what ssh said when the greeting for that name does not come. */
export async function proveLogin(name: string, privateKey: string, io: Io): Promise<void> {
  const { host, port } = await listening(io);
  const [key, known] = [memoryFile("dp-key"), memoryFile("dp-known-hosts")];
  try {
    writeSync(key.fd, privateKey);
    writeSync(known.fd, `${knownHosts(host, port).join("\n")}\n`);
    const options = {
      BatchMode: "yes",
      ConnectTimeout: "10",
      IdentitiesOnly: "yes",
      IdentityAgent: "none",
      StrictHostKeyChecking: "yes",
      UserKnownHostsFile: known.path,
    };
    const words = Object.entries(options).map(([option, value]) => `-o${option}=${value}`);
    const argv = ["ssh", "-F", "/dev/null", "-T", "-i", key.path, "-p", `${port}`, ...words, "--", `${LOGIN}@${host}`];
    const { code, text } = await io.run(argv, { check: false, quiet: true, timeout: LIMIT });
    if (code === 0 && text.includes(`hello ${name}:`)) return;
    throw new DpError("host", `sshd does not let the new key in: ssh exited with code ${code}`, {
      lines: text.split("\n").slice(-5),
      hint: "dp doctor says what is wrong; the key was taken away again",
    });
  } finally {
    for (const { fd } of [key, known]) closeSync(fd);
  }
}
