// HAProxy where there is no systemd: kept by the same small supervisor as the apps.
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import { tail } from "../../host/process/output.ts";
import { plainEnv } from "../../host/run.ts";
import { supervisor } from "../../host/self.ts";
import {
  markerOf,
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  writeRecord,
  type State,
} from "../../host/supervisor/supervision.ts";
import { endAll } from "../../host/process/end-all.ts";
import { shellQuote } from "../../host/template.ts";
import { filesOf, haproxyProgram } from "./places.ts";
import { processes } from "./runtime.ts";

// "dp" can be no app's name.
const NAME = { app: "dp", id: "haproxy" };
const STOP_TIMEOUT = 5_000;
const PATIENCE = 10_000;

const recordsOf = (folder: string) => ({
  spec: join(folder, "haproxy.json"),
  state: join(folder, "haproxy.state.json"),
  script: join(folder, "haproxy.sh"),
});

/** Starts HAProxy under a supervisor of its own; returns when it takes connections. Throws DpError "host". */
export async function startSupervised(): Promise<void> {
  const { folder, log } = filesOf();
  const { spec, state } = recordsOf(folder);
  await stopSupervised();
  await writeSpec();
  const argv = [...supervisor(), spec];
  Bun.spawn(argv, { cwd: "/", env: plainEnv(), stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
  const end = performance.now() + PATIENCE;
  while (!(await processes())?.workers.length) {
    const now = await readRecord<State>(state);
    if (performance.now() > end || now?.state === "failed" || (now?.restarts ?? 0) > 0) {
      await stopSupervised();
      throw new DpError("host", "HAProxy does not start", { lines: tail((await readText(log)) ?? "", 5) });
    }
    await Bun.sleep(10);
  }
}

async function writeSpec(): Promise<void> {
  const { folder, config, socket, log } = filesOf();
  const { spec, state, script } = recordsOf(folder);
  const argv = [haproxyProgram() ?? "haproxy", "-W", "-f", config, "-S", `${socket},mode,600`];
  await writeFileAtomic(script, `exec ${argv.map(shellQuote).join(" ")}\n`, 0o600);
  await removeFile(state);
  await writeRecord(spec, {
    ...NAME,
    folder: "/",
    script,
    env: { ...plainEnv(), DP_INSTANCE: markerOf(NAME) },
    user: null,
    uid: ownUser(),
    stopTimeout: STOP_TIMEOUT,
    restartDelay: 100,
    log,
    state,
  });
}

/** Ends HAProxy and its supervisor. Safe to repeat. */
export async function stopSupervised(): Promise<void> {
  const { folder, socket } = filesOf();
  const { spec, state } = recordsOf(folder);
  await endAll(() => supervisorsOf(spec), STOP_TIMEOUT * 2);
  const main = (await readRecord<State>(state))?.main ?? null;
  await endAll(() => processesOf(NAME, ownUser(), main), STOP_TIMEOUT);
  await removeFile(socket);
}
