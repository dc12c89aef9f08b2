// The two ports of all domains: http for challenges and redirects, https for the apps.
import type { Address, Edge } from "../../config/tls.ts";
import type { EdgeStatus } from "../../contracts/front.ts";
import { codeOf } from "../../errors.ts";
import { gate, relay } from "./app.ts";
import { keepsContract } from "./contract.ts";
import { certifiedNames, edge, renewDomains } from "./domains.ts";
import { plainHandlers } from "./downstream.ts";
import { linger } from "./ending.ts";
import { forget, open, problemOf, type Manner } from "./listening.ts";
import { log } from "./log.ts";
import type { listenByNode as Listen, Stoppable } from "./node-secure.ts";
import { SECURE_OPTIONS, secureHandlers } from "./secure.ts";
import type { Client } from "./types.ts";

/** A port of the domains. `name` is that of its socket in systemd's keeping: no app can have it. */
interface Port {
  name: string;
  listener: Stoppable | null;
  error: string | null;
}

const ports: Record<"http" | "https", Port> = {
  http: { name: ".http", listener: null, error: null },
  https: { name: ".https", listener: null, error: null },
};

/** Listens on these ports of the domains; a failure is recorded. */
export async function openEdge(settings: Edge): Promise<void> {
  if (edge.settings !== null && !Bun.deepEquals(edge.settings, settings)) closeEdge();
  edge.settings = settings;
  renewDomains();
  await listenEdge();
}

/** Listens where it does not yet; a failure is recorded and tried again later. */
export async function listenEdge(): Promise<void> {
  const { settings } = edge;
  if (settings === null) return;
  way = (await keepsContract()) ? "bun" : "node";
  // Loaded only for a Bun that needs it: with node:tls it is most of what a relay would load.
  const secure = way === "bun" ? openByBun : openByNode((await import("./node-secure.ts")).listenByNode);
  // Meanwhile the last domain may have gone, the ports may be others, or the relay may stop.
  if (edge.settings !== settings || relay.isStopping) return;
  const { http, https } = ports;
  listenOn(http, settings.http, () => openAt(http.name, settings.http, { socket: plainHandlers() }));
  listenOn(https, settings.https, () => secure(settings.https));
}

/** Who does the TLS of the port of https. */
let way: "bun" | "node" = "bun";

const openByBun = (address: Address) =>
  openAt(ports.https.name, address, { socket: secureHandlers(), tls: SECURE_OPTIONS });

const openByNode = (listenByNode: typeof Listen) => (address: Address) => {
  const port = ports.https;
  const silent = { data: () => undefined };
  log("domains: https goes by node:tls, which is slower");
  return listenByNode(openAt(port.name, address, { socket: silent }), (error) => {
    port.listener = null;
    port.error = problemOf(error, address.host, address.port);
    log(`domains: ${port.error}`);
  });
};

function listenOn(port: Port, address: Address, openPort: () => Stoppable): void {
  if (port.listener !== null) return;
  const before = port.error;
  port.error = null;
  try {
    port.listener = openPort();
    log(`domains: listens on ${address.host}:${address.port}`);
  } catch (error) {
    port.error = problemOf(error, address.host, address.port);
    if (port.error !== before) log(`domains: ${port.error}`);
  }
}

const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

// A server may have no IPv6 at all.
function openAt(name: string, address: Address, manner: Manner): Bun.TCPSocketListener<Client> {
  try {
    return open(name, address, manner);
  } catch (error) {
    if (address.host !== "::" || !NO_IPV6.has(codeOf(error) ?? "")) throw error;
    return open(name, { host: "0.0.0.0", port: address.port }, manner);
  }
}

/** Stops accepting connections; systemd keeps the sockets for the next relay. */
export function stopEdge(): void {
  for (const port of Object.values(ports)) {
    port.listener?.stop();
    port.listener = null;
  }
}

/** Closes the ports: no app has a domain any more. Connections of apps go on. */
export function closeEdge(): void {
  if (edge.settings === null) return;
  for (const { name } of Object.values(ports)) forget(name);
  stopEdge();
  edge.settings = null;
  for (const client of [...gate.clients]) linger(client);
}

/** The ports as they are now; null: no app has a domain. */
export function edgeStatus(): EdgeStatus | null {
  if (edge.settings === null) return null;
  const { http, https } = edge.settings;
  return {
    http: { ...http, error: ports.http.error },
    https: { ...https, error: ports.https.error },
    certified: certifiedNames(),
    way,
  };
}
