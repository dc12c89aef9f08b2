// Describes the holders of a port for messages.
import type { Listener } from "./listener.ts";
import { processName } from "./process.ts";

/** The holders of a port: `pid 412 (nginx)`. */
export async function describeOwners(owners: readonly Listener[]): Promise<string> {
  const words = owners.map(({ pid, uid }) =>
    pid === null ? `a process of user ${uid}` : `pid ${pid} (${processName(pid) ?? "gone"})`,
  );
  return [...new Set(words)].join(", ") || "a process that has gone since";
}
