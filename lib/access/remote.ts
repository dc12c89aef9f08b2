// How the machines of others reach this server: the address of an app for git, and the lines of known_hosts.
import { hostname } from "node:os";
import { makeIo, silentLog } from "../host/io.ts";
import { serverOfLogin } from "../host/who.ts";
import { LOGIN } from "./places.ts";
import { knownHosts } from "./proof.ts";
import { sshdSettings } from "./sshd.ts";

/** The address and port of sshd, as this login used them; else the host's name, and sshd's own port. */
async function address(): Promise<{ host: string; port: number }> {
  const login = serverOfLogin();
  if (login !== null) return { host: login.address.replace(/^\[(.*)\]$/, "$1"), port: login.port };
  const settings = await sshdSettings(makeIo(silentLog));
  return { host: hostname(), port: Number(settings?.get("port")?.[0] ?? 22) };
}

/** The remote of an app for somebody with a key: `dp@203.0.113.5:shop`. */
export async function remoteFor(app: string): Promise<string> {
  const { host, port } = await address();
  const name = host.includes(":") ? `[${host}]` : host;
  return port === 22 ? `${LOGIN}@${name}:${app}` : `ssh://${LOGIN}@${name}:${port}/${app}.git`;
}

/** The lines of known_hosts for this server. */
export async function serverKeys(): Promise<string[]> {
  const { host, port } = await address();
  return knownHosts(host, port);
}
