// A process of the whole server (the relay, the static server) where there is no systemd: kept by the same small
// supervisor as the apps.
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  writeRecord,
  type Spec,
  type State,
} from "../supervisor/supervision.ts";
import { endAll } from "../process/end-all.ts";
import { DpError } from "../../errors.ts";
import { removeFile, writeFileAtomic } from "../files.ts";
import { waitForLock } from "../lock.ts";
import { plainEnv } from "../run.ts";
import { program, supervisor } from "../self.ts";
import { idsOf } from "../users.ts";
import { shellQuote } from "../template.ts";

/** What is kept running, once for each folder. */
export interface Daemon {
  /** "relay". */
  name: string;
  /** Its program in dp's tree, given the folder as the only argument. */
  program: string;
  /** Where its records are kept; it belongs to dp, and its user cannot write there. */
  folder: string;
  /** Who it runs as; null: whoever dp is. */
  user: string | null;
}

const STOP_TIMEOUT = 35_000;
const PATIENCE = 10_000;

const instanceOf = ({ name }: Daemon) => ({ app: name, id: "0" });
// With the folder: the end of one server's relay must not take another's for its own.
const markerOf = ({ name, folder }: Daemon) => `${name}@0:${folder}`;

const filesOf = ({ name, folder }: Daemon) => ({
  spec: join(folder, `${name}.json`),
  state: join(folder, `${name}.state.json`),
  script: join(folder, `${name}.sh`),
  log: logOf({ name, folder }),
});

/** What it says, without systemd. */
export const logOf = ({ name, folder }: Pick<Daemon, "name" | "folder">) => join(folder, `${name}.log`);

/** Starts it under a supervisor unless one has it; returns when `answers` says so. Throws DpError "host". */
export async function superviseDaemon(daemon: Daemon, answers: () => Promise<boolean>): Promise<void> {
  await mkdir(daemon.folder, { recursive: true, mode: 0o700 });
  const lock = await waitForLock(
    join(daemon.folder, "start.lock"),
    () => undefined,
    () => undefined,
  );
  try {
    if (await answers()) return;
    const files = filesOf(daemon);
    if (supervisorsOf(files.spec).length === 0) await launch(daemon);
    const end = performance.now() + PATIENCE;
    while (!(await answers())) {
      if (performance.now() > end)
        throw new DpError("host", `the ${daemon.name} does not start`, { hint: `see ${files.log}` });
      await Bun.sleep(20);
    }
  } finally {
    lock.release();
  }
}

async function launch(daemon: Daemon): Promise<void> {
  const files = filesOf(daemon);
  const argv = [...program(daemon.program), daemon.folder];
  const [uid, gid] = daemon.user === null ? [ownUser(), 0] : await idsOf(daemon.user);
  await writeFileAtomic(files.script, `exec ${argv.map(shellQuote).join(" ")}\n`, 0o600);
  if (daemon.user !== null) {
    await chown(files.script, 0, gid);
    await chmod(files.script, 0o640);
  }
  const env = { ...plainEnv(), DP_INSTANCE: markerOf(daemon) };
  await removeFile(files.state);
  await writeRecord(files.spec, {
    ...instanceOf(daemon),
    folder: "/",
    script: files.script,
    env,
    user: daemon.user,
    uid,
    stopTimeout: STOP_TIMEOUT,
    restartDelay: 50,
    log: files.log,
    state: files.state,
  });
  Bun.spawn([...supervisor(), files.spec], {
    cwd: "/",
    env: plainEnv(),
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  }).unref();
}

/** Ends it and its supervisor. Safe to repeat. */
export async function stopSupervised(daemon: Daemon): Promise<void> {
  const files = filesOf(daemon);
  await endAll(() => supervisorsOf(files.spec), STOP_TIMEOUT);
  const state = await readRecord<State>(files.state);
  const spec = await readRecord<Spec>(files.spec);
  if (spec && state?.main)
    await endAll(() => processesOf(instanceOf(daemon), spec.uid, state.main, markerOf(daemon)), STOP_TIMEOUT);
}
