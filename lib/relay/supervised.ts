// The relay where there is no systemd: kept by the same small supervisor as the apps.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { removeFile, writeFileAtomic } from "../files.ts";
import { waitForLock } from "../lock.ts";
import { plainEnv } from "../run.ts";
import { program, supervisor } from "../self.ts";
import {
  endAll,
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  writeRecord,
  type Spec,
  type State,
} from "../builtin/supervision.ts";
import { shellQuote } from "../template.ts";

const NAME = { app: "relay", id: "0" };
const STOP_TIMEOUT = 35_000;
const PATIENCE = 10_000;

// With the folder: the end of one server's relay must not take another's for its own.
const markerIn = (folder: string) => `${NAME.app}@${NAME.id}:${folder}`;

const filesOf = (folder: string) => ({
  spec: join(folder, "relay.json"),
  state: join(folder, "relay.state.json"),
  script: join(folder, "relay.sh"),
  log: join(folder, "relay.log"),
});

/** Starts the relay under a supervisor unless one has it; returns when `answers` says so. Throws DpError "host". */
export async function superviseRelay(folder: string, answers: () => Promise<boolean>): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await waitForLock(
    join(folder, "start.lock"),
    () => undefined,
    () => undefined,
  );
  try {
    if (await answers()) return;
    const files = filesOf(folder);
    if (supervisorsOf(files.spec).length === 0) await launch(folder);
    const end = performance.now() + PATIENCE;
    while (!(await answers())) {
      if (performance.now() > end) throw new DpError("host", "the relay does not start", { hint: `see ${files.log}` });
      await Bun.sleep(20);
    }
  } finally {
    lock.release();
  }
}

async function launch(folder: string): Promise<void> {
  const files = filesOf(folder);
  const argv = [...program("lib/relay/process.ts"), folder];
  await writeFileAtomic(files.script, `exec ${argv.map(shellQuote).join(" ")}\n`, 0o600);
  const env = { ...plainEnv(), DP_INSTANCE: markerIn(folder) };
  await removeFile(files.state);
  await writeRecord(files.spec, {
    ...NAME,
    ...{ folder: "/", script: files.script, env, user: null, uid: ownUser() },
    ...{ stopTimeout: STOP_TIMEOUT, restartDelay: 50, log: files.log, state: files.state },
  });
  Bun.spawn([...supervisor(), files.spec], {
    cwd: "/",
    env: plainEnv(),
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  }).unref();
}

/** Ends the relay and its supervisor. Safe to repeat. */
export async function stopSupervisedRelay(folder: string): Promise<void> {
  const files = filesOf(folder);
  await endAll(() => supervisorsOf(files.spec), STOP_TIMEOUT);
  const state = await readRecord<State>(files.state);
  const spec = await readRecord<Spec>(files.spec);
  if (spec && state?.main) await endAll(() => processesOf(NAME, spec.uid, state.main, markerIn(folder)), STOP_TIMEOUT);
}
