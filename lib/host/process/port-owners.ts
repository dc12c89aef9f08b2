// Who holds a port, in words.
import type { Listener } from "./listener.ts";
import { processName } from "./process.ts";

/** Who holds a port, in words: `pid 412 (nginx)`. */
export async function describeOwners(owners: readonly Listener[]): Promise<string> {
  const words = owners.map(({ pid, uid }) =>
    pid === null ? `a process of user ${uid}` : `pid ${pid} (${processName(pid) ?? "gone"})`,
  );
  return [...new Set(words)].join(", ") || "a process that has gone since";
}
