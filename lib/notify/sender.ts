// The program of dp-notify.service: delivers what waits in the queue, and ends. Its only argument is the queue's folder.
import { deliver } from "./deliver.ts";

/** The whole program. */
export async function main(folder = ""): Promise<void> {
  process.umask(0o077);
  await deliver(folder, { now: () => Date.now(), sleep: (ms) => Bun.sleep(ms), real: (ms) => ms });
}

if (import.meta.main) void main(process.argv[2]);
