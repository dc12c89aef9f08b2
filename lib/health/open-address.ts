// An app behind the front that listens for the whole network as well: there anybody goes around the front.
import type { Manager } from "../contracts/manager.ts";
import type { InstanceName } from "../host/instance.ts";
import { listeningPorts } from "../host/process/process.ts";

const isLoopback = (address: string) => address === "::1" || address.startsWith("127.");

/** What an instance does that listens on its port on more than the loopback, and what it should do; null: it does not. */
export async function openAddress(name: InstanceName, manager: Manager, port: number): Promise<string | null> {
  // A published port is the engine's, which opens it on 127.0.0.1.
  if (await manager.published?.(name)) return null;
  const own = listeningPorts(await manager.pids(name)).filter((socket) => socket.port === port);
  const open = own.find(({ address }) => !isLoopback(address));
  if (open === undefined) return null;
  const address = open.address.includes(":") ? `[${open.address}]` : open.address;
  return `listens on ${address}:${port}, where others reach it past the front: let it listen on $DP_HOST, 127.0.0.1`;
}
