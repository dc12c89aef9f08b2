// What `dp setup` says in the end: where the app is, and the commands to type next, exactly.
import { hostname } from "node:os";
import type { ServerConfig } from "../config/types.ts";
import { urlOf } from "../deploy/log/screen.ts";
import { listener } from "../host/process/process.ts";
import { loginName } from "../host/users.ts";
import { serverOfLogin } from "../host/who.ts";
import { places, root } from "../paths.ts";

const dp = () => (root() ? `DP_ROOT=${root()} dp` : "dp");

/** Three commands: two for the machine with the code (unless it was fetched), and one for here. */
export function nextCommands(app: string, { branch }: ServerConfig, isFetched: boolean): string[] {
  if (isFetched) return [`${dp()} deploy ${app}`, `${dp()} status ${app}`, `${dp()} logs ${app}`];
  return [`git remote add production ${remoteOf(app)}`, `git push production ${branch}`, `${dp()} status ${app}`];
}

/** The repository as the machine with the code reaches it: by the address and the port of this login over ssh. */
function remoteOf(app: string): string {
  const { repo } = places(app);
  if (root()) return repo;
  const login = serverOfLogin();
  const port = login === null || login.port === 22 ? "" : `:${login.port}`;
  return `ssh://${loginName()}@${login?.address ?? hostname()}${port}${repo}`;
}

/** Where the app is, and how it is opened when nothing on this server answers anybody outside. */
export async function addressLine(app: string, server: ServerConfig, isLive: boolean): Promise<string> {
  const where = `${isLive ? "live at" : "will be live at"} ${urlOf(server)}`;
  if (!(await isClosed(server))) return where;
  return `${where} (this server only; to open it: ${dp()} setup ${app} --host 0.0.0.0, or a web server before it)`;
}

const WEB = [80, 443];

/** Whether the public port is this machine's alone, with no proxy named and no web server here that may pass requests. */
async function isClosed({ host, trustedProxies }: ServerConfig): Promise<boolean> {
  if (!host.startsWith("127.") || trustedProxies.length > 0) return false;
  const owners = await Promise.all(WEB.map((port) => listener(port)));
  return owners.flat().every(({ address }) => address.startsWith("127.") || address === "::1");
}
