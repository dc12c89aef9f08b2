// An app that listens somewhere else than it was told: the commonest reason for no answer.
import type { InstanceName, Manager, Published } from "../manager.ts";
import { listeningPorts } from "../process/process.ts";

/** Where an instance listens instead of its port, in words that say what it must do; null when it does listen there. */
export async function wrongPort(name: InstanceName, manager: Manager, port: number): Promise<string | null> {
  const published = await manager.published?.(name);
  if (published) return wrongPortInside(published);
  const open = await listeningPorts(await manager.pids(name));
  if (open.length === 0) return `the app listens on no port; it must listen on $PORT, here ${port}`;
  if (open.some((socket) => socket.port === port)) return null;
  const others = open.map((socket) => `${socket.address}:${socket.port}`).join(", ");
  return `the app listens on ${others}; it must listen on $PORT, here ${port}`;
}

// From outside only what listens on all addresses of the container is reached, and only on the published port.
function wrongPortInside({ listening, inside }: Published): string | null {
  if (inside === null) return null;
  if (listening.some(({ port, address }) => port === inside && !address.startsWith("127.") && address !== "::1"))
    return null;
  const others = listening.map(({ address, port }) => `${address}:${port}`).join(", ");
  const where = others === "" ? "listens on no port" : `listens on ${others}`;
  return `in its container the app ${where}; it must listen on 0.0.0.0:${inside}`;
}
