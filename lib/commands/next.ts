// The last lines of `dp setup`: where the app is, and the exact commands to type next.
import { hostname } from "node:os";
import { frontNames } from "../config/kinds.ts";
import type { ServerConfig } from "../config/types.ts";
import { urlOf } from "../deploy/log/screen.ts";
import { listener } from "../host/process/process.ts";
import { loginName } from "../host/users.ts";
import { serverOfLogin } from "../host/who.ts";
import { places, root } from "../paths.ts";
import { front } from "../registry.ts";

const dp = () => (root() ? `DP_ROOT=${root()} dp` : "dp");

/**
 * What to type next: two commands for the machine with the code (unless it was fetched), and one for this server. When a
 * release is live, what shows it.
 */
export function nextCommands(
  app: string,
  { branch, for: original }: ServerConfig,
  { isFetched = false, hasRelease = false }: { isFetched?: boolean; hasRelease?: boolean },
): string[] {
  const look = [`${dp()} status ${app}`, `${dp()} logs ${app}`];
  if (isFetched) return [`${dp()} deploy ${app}`, ...look];
  if (hasRelease) return look;
  // The folder of an app that runs once more has a remote of the usual name already.
  const remote = original === undefined ? "production" : app;
  return [`git remote add ${remote} ${remoteOf(app)}`, `git push ${remote} ${branch}`, look[0]!];
}

/** The repository's address for the machine with the code: with the address and port of this ssh login. */
function remoteOf(app: string): string {
  const { repo } = places(app);
  if (root()) return repo;
  const login = serverOfLogin();
  const port = login === null || login.port === 22 ? "" : `:${login.port}`;
  return `ssh://${loginName()}@${login?.address ?? hostname()}${port}${repo}`;
}

/** Where the app is, and how to open it when nothing on this server can be reached from outside. */
export async function addressLine(app: string, server: ServerConfig, isLive: boolean): Promise<string> {
  const where = `${isLive ? "live at" : "will be live at"} ${urlOf(server)}`;
  if (!(await isClosed(server))) return where;
  return `${where} (this server only; to open it: ${dp()} setup ${app} --host 0.0.0.0, or a web server before it)`;
}

const WEB = [80, 443];

/**
 * Whether only this machine reaches the public port: no proxy is named, and no local web server may pass requests on.
 */
async function isClosed({ host, trustedProxies, domains }: ServerConfig): Promise<boolean> {
  if (!host.startsWith("127.") || trustedProxies.length > 0 || domains.length > 0) return false;
  const own = await edgePorts();
  const owners = await Promise.all(WEB.filter((port) => !own.includes(port)).map((port) => listener(port)));
  return owners.flat().every(({ address }) => address.startsWith("127.") || address === "::1");
}

/** The ports that dp's own fronts hold for the domains of other apps: they pass nothing on to an app without one. */
async function edgePorts(): Promise<number[]> {
  const fronts = await Promise.all(frontNames().map((name) => front(name)));
  const edges = await Promise.all(fronts.map((each) => each.edge?.()));
  return edges.flatMap((edge) => (edge ? [edge.http, edge.https] : [])).flatMap((at) => (at.error ? [] : at.port));
}
