// An app that listens on another port than it was told: the most common reason for no answer.
import type { Manager, Published } from "../contracts/manager.ts";
import { listeningPorts } from "../host/process/process.ts";
import type { InstanceName } from "../host/instance.ts";
import { socketText } from "./socket-text.ts";

/** Where an instance listens instead of on its port, with what it must do; null when it listens there. */
export async function wrongPort(name: InstanceName, manager: Manager, port: number): Promise<string | null> {
  const published = await manager.published?.(name);
  if (published) return wrongPortInside(published);
  const open = await listeningPorts(await manager.pids(name));
  if (open.length === 0)
    return `the app listens on no port yet: it must listen on $PORT, here ${port}; if it boots longer, healthCheck has startTimeout`;
  if (open.some((socket) => socket.port === port)) return isOnlyIpv6(open, port) ? onlyIpv6(port) : null;
  const others = open.map(socketText).join(", ");
  return `the app listens on ${others}; it must listen on $PORT, here ${port}`;
}

const isOnlyIpv6 = (open: readonly { port: number; address: string }[], port: number) =>
  open.every((socket) => socket.port !== port || socket.address === "::1");
const onlyIpv6 = (port: number) =>
  `the app listens on [::1]:${port} alone, the IPv6 loopback; it must listen on $DP_HOST, here 127.0.0.1`;

/** How long an app must listen elsewhere before that is reported, in ms: some open another port first. */
const PATIENCE = 2_000;
/**
 * The time of the first look at its sockets, and the shortest time between two looks, in ms: a look goes through all
 * processes.
 */
const [FIRST, LOOK] = [1_000, 250];

/**
 * Checks with each try whether an instance listens elsewhere, and not on its port. After two seconds it answers the
 * message, once; otherwise null.
 */
export function watchElsewhere(name: InstanceName, manager: Manager, port: number) {
  let since: number | null = null;
  let next = performance.now() + FIRST;
  return async (isRefused: boolean): Promise<string | null> => {
    const now = performance.now();
    if (now < next) return null;
    next = now + LOOK;
    const open = isRefused ? listeningPorts(await manager.pids(name)) : [];
    const isHere = open.some((socket) => socket.port === port);
    const isElsewhere = open.length > 0 && (!isHere || isOnlyIpv6(open, port));
    since = isElsewhere ? (since ?? now) : null;
    if (since === null || now - since < PATIENCE) return null;
    next = Infinity;
    if (isHere) return onlyIpv6(port);
    const others = [...new Set(open.map((socket) => socket.port))].join(", ");
    return `listens on ${others}, not on $PORT (${port})`;
  };
}

// From outside a container, only sockets on all its addresses are reachable, and only on the published port.
function wrongPortInside({ listening, inside }: Published): string | null {
  if (inside === null) return null;
  if (listening.some(({ port, address }) => port === inside && !address.startsWith("127.") && address !== "::1"))
    return null;
  const others = listening.map(socketText).join(", ");
  const where = others === "" ? "listens on no port" : `listens on ${others}`;
  return `in its container the app ${where}; it must listen on 0.0.0.0:${inside}`;
}
