// HAProxy without systemd: run by the same small supervisor as the apps.
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { endKept, startKept, stateOf, type Kept } from "../../host/daemon/kept.ts";
import { readText, removeFile } from "../../host/files.ts";
import { tail } from "../../host/process/output.ts";
import { plainEnv } from "../../host/run.ts";
import { markerOf } from "../../host/supervisor/supervision.ts";
import { filesOf, haproxyProgram } from "./places.ts";
import { processes } from "./runtime.ts";

// No app can be named "dp".
const NAME = { app: "dp", id: "haproxy" };
const STOP_TIMEOUT = 5_000;
const PATIENCE = 10_000;

const keptIn = (folder: string): Kept => ({
  stem: join(folder, "haproxy"),
  instance: NAME,
  marker: markerOf(NAME),
  stopTimeout: STOP_TIMEOUT,
});

/** Starts HAProxy under its own supervisor; returns when it accepts connections. Throws DpError "host". */
export async function startSupervised(): Promise<void> {
  const { folder, config, socket, log } = filesOf();
  const kept = keptIn(folder);
  await stopSupervised();
  const argv = [haproxyProgram() ?? "haproxy", "-W", "-f", config, "-S", `${socket},mode,600`];
  await startKept(kept, { argv, env: plainEnv(), user: null, restartDelay: 100, log });
  const end = performance.now() + PATIENCE;
  while (!(await processes())?.workers.length) {
    const now = await stateOf(kept);
    if (performance.now() > end || now?.state === "failed" || (now?.restarts ?? 0) > 0) {
      await stopSupervised();
      throw new DpError("host", "HAProxy does not start", { lines: tail((await readText(log)) ?? "", 5) });
    }
    await Bun.sleep(10);
  }
}

/** Stops HAProxy and its supervisor. Safe to repeat. */
export async function stopSupervised(): Promise<void> {
  const { folder, socket } = filesOf();
  await endKept(keptIn(folder));
  await removeFile(socket);
}
