// The configuration of dp's HAProxy, dp.cfg: rendered from what is stored alone.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Address, Edge } from "../../config/tls.ts";
import { DpError } from "../../errors.ts";
import { appName } from "../../paths.ts";
import { render, template } from "../../host/template.ts";
import { userExists } from "../../host/users.ts";
import { proxyOf, readBalancers, type Balancer } from "./balancers.ts";
import { filesOf, isService } from "./places.ts";
import { serverOf, type Kept, type KeptRoute } from "./routes.ts";

/** How long a request waits, in ms, when HAProxy starts during a hold. */
const HOLD = 30_000;
// Debian's package makes both.
const [USER, JAIL] = ["haproxy", "/var/lib/haproxy"];

/** What TLS 1.2 may use: forward secrecy and AEAD, as browsers have had for ten years. */
const CIPHERS = ["ECDSA", "RSA"]
  .flatMap((kind) =>
    ["AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384"].map((what) => `ECDHE-${kind}-${what}`),
  )
  .join(":");

/** A path as a word of the configuration. Throws DpError "usage" for a path that would need quotes. */
function word(path: string): string {
  if (/^\/[\w./@+:-]*$/.test(path)) return path;
  throw new DpError("usage", `${JSON.stringify(path)} cannot be named in HAProxy's configuration`);
}

function address(text: string): string {
  if (/^[0-9a-fA-F.:]+$/.test(text)) return text;
  throw new DpError("usage", `${JSON.stringify(text)} is not an IP address`);
}

const network = (text: string): string => {
  const [ip = "", bits] = text.split("/");
  if (bits !== undefined && !/^\d{1,3}$/.test(bits))
    throw new DpError("usage", `${JSON.stringify(text)} is no network`);
  return `${address(ip)}${bits === undefined ? "" : `/${bits}`}`;
};

function servers(route: KeptRoute): string {
  const lines = route.slots.map((slot, at) => {
    const port = Math.trunc(slot?.port ?? 1);
    return `    server ${serverOf(at)} 127.0.0.1:${port}${at === route.live ? "" : " disabled"}`;
  });
  return lines.join("\n");
}

async function section(route: KeptRoute, edge: Edge | null): Promise<string> {
  const { listen, protocol, trustedProxies, held } = route;
  const values = {
    app: appName(route.app),
    bind: `${address(listen.host)}:${Math.trunc(listen.port)}`,
    limit: String(held ?? HOLD),
    servers: servers(route),
  };
  if (protocol === "tcp") return render(await template("haproxy/tcp.cfg"), values);
  const isIdle = route.slots.map((_, at) => `!{ srv_is_up(${serverOf(at)}) }`).join(" ");
  const more = {
    https: edge === null ? "" : toHttps(trustedProxies, edge),
    forwarded: await forwarded(trustedProxies),
  };
  return render(await template("haproxy/http.cfg"), Object.assign(values, { isIdle }, more));
}

const portIn = ({ public: { https } }: Edge) => (https === 443 ? "" : `:${Math.trunc(https)}`);

/** The rule that sends clients of port 80 on to https; not those that have come to a trusted proxy by https already. */
function toHttps(trustedProxies: readonly string[], edge: Edge): string {
  const due = "{ var(txn.dp_to_https) -m found }";
  const trusted = trustedProxies.map(network).join(" ");
  const condition =
    trusted === "" ? due : `${due} !{ src ${trusted} } || ${due} !{ req.hdr(x-forwarded-proto) -m str -i https }`;
  return `\n    http-request redirect code 308 location https://%[var(txn.dp_host)]${portIn(edge)}%[pathq] if ${condition}`;
}

/** An address to bind; `::` takes IPv4 as well, and is 0.0.0.0 on a machine without IPv6. */
function bindOf({ host, port }: Address): string {
  const isAny = host === "::";
  if (isAny && !existsSync("/proc/net/if_inet6")) return `0.0.0.0:${Math.trunc(port)}`;
  return `${address(host)}:${Math.trunc(port)}${isAny ? " v4v6" : ""}`;
}

async function domains(edge: Edge): Promise<string> {
  const { map, list } = filesOf();
  return render(await template("haproxy/domains.cfg"), {
    http: bindOf(edge.http),
    https: bindOf(edge.https),
    challenges: word(join(edge.challenges, ".well-known/acme-challenge")),
    map: word(map),
    list: word(list),
    port: portIn(edge),
    ciphers: CIPHERS,
  });
}

/** The rules for the client's X-Forwarded-* headers: removed at the public edge, kept from a trusted proxy. */
async function forwarded(trustedProxies: readonly string[]): Promise<string> {
  if (trustedProxies.length === 0) return (await template("haproxy/edge.cfg")).trimEnd();
  const trusted = trustedProxies.map(network).join(" ");
  return render(await template("haproxy/behind.cfg"), { trusted }).trimEnd();
}

/** The servers of a balancer. Their names and addresses were checked when they were stored. */
function balanced({ servers }: Balancer): string {
  return Object.entries(servers)
    .map(([name, { address, isDrained }]) => `    server ${name} ${address}${isDrained ? " disabled" : ""}`)
    .join("\n");
}

async function balancerSection(balancer: Balancer): Promise<string> {
  const { name, host, port, check, checkHost, trustedProxies } = balancer;
  return render(await template("haproxy/balancer.cfg"), {
    name,
    proxy: proxyOf(name),
    bind: `${address(host)}:${Math.trunc(port)}`,
    check,
    checkHost: checkHost ?? "localhost",
    forwarded: await forwarded(trustedProxies),
    servers: balanced(balancer),
  });
}

/** The text of dp.cfg. */
export async function configText({ routes, edge }: Kept): Promise<string> {
  const balancers = [...(await readBalancers()).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { lua, socket } = filesOf();
  const apps = [...routes.values()].sort((a, b) => (a.app < b.app ? -1 : 1));
  // The service has no privileges to drop.
  const isRoot = process.getuid?.() === 0 && !isService();
  const isJailed = isRoot && userExists(USER) && existsSync(JAIL);
  // In a jail it could not read the answers to challenges.
  const jail = edge === null ? `\n    chroot ${JAIL}` : "";
  return render(await template("haproxy/dp.cfg"), {
    lua: word(lua),
    socket: word(socket),
    rights: isJailed ? `    user ${USER}\n    group ${USER}${jail}` : "",
    held: apps.map(({ app, held }) => `    server ${app} 127.0.0.1:1${held === null ? " disabled" : ""}`).join("\n"),
    domains: edge === null ? "" : await domains(edge),
    apps: (await Promise.all(apps.map((route) => section(route, edge)))).join("\n"),
    balancers: (await Promise.all(balancers.map(balancerSection))).join("\n"),
  });
}
