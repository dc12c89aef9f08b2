// The sender with a clock that runs three thousand times faster: six hours pass in seven seconds: `sender.ts FOLDER`.
import { deliver } from "../../../lib/notify/deliver.ts";

const SCALE = 3_000;
const begun = Date.now();

await deliver(process.argv[2]!, {
  now: () => begun + (Date.now() - begun) * SCALE,
  sleep: (ms) => Bun.sleep(ms / SCALE),
  // A try needs some time even then: the machine of a test may be busy.
  real: (ms) => Math.max(300, ms / SCALE),
});
