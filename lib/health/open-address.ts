// An app behind a front that also listens on the whole network: clients can bypass the front there.
import type { Manager } from "../contracts/manager.ts";
import type { InstanceName } from "../host/instance.ts";
import { listeningPorts } from "../host/process/process.ts";
import { socketText } from "./socket-text.ts";

const isLoopback = (address: string) => address === "::1" || address.startsWith("127.");

/**
 * The message and hint for an instance that listens beyond the loopback; null: it does not. `main`: its main process,
 * where that is known: mostly it has the socket, and the others need not be looked for.
 */
export async function openAddress(
  name: InstanceName,
  manager: Manager,
  port: number,
  main?: number,
): Promise<string | null> {
  // The engine opens a published port, on 127.0.0.1.
  if (await manager.published?.(name)) return null;
  const on = (pids: readonly number[]) => listeningPorts(pids).filter((socket) => socket.port === port);
  const ofMain = main === undefined ? [] : on([main]);
  const own = ofMain.length > 0 ? ofMain : on(await manager.pids(name));
  const open = own.find(({ address }) => !isLoopback(address));
  if (open === undefined) return null;
  return `listens on ${socketText(open)}, where others reach it past the front: let it listen on $DP_HOST, 127.0.0.1`;
}
