// The program of dp-notify.service: delivers what waits in the queue, and ends. Its only argument is the queue's folder.
import { deliver } from "./deliver.ts";

if (import.meta.main) {
  const [, , folder = ""] = process.argv;
  process.umask(0o077);
  await deliver(folder, { now: () => Date.now(), sleep: (ms) => Bun.sleep(ms), real: (ms) => ms });
}
