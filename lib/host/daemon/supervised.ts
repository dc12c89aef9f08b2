// A process of the whole server (the relay, the static server) where there is no systemd: kept by the same small
// supervisor as the apps.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { waitForLock } from "../lock.ts";
import { plainEnv } from "../run.ts";
import { program } from "../self.ts";
import { endKept, isKept, startKept, type Kept } from "./kept.ts";

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

// With the folder: the end of one server's relay must not take another's for its own.
const keptOf = ({ name, folder }: Daemon): Kept => ({
  stem: join(folder, name),
  instance: { app: name, id: "0" },
  marker: `${name}@0:${folder}`,
  stopTimeout: STOP_TIMEOUT,
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
    if (!isKept(keptOf(daemon))) await launch(daemon);
    const end = performance.now() + PATIENCE;
    while (!(await answers())) {
      if (performance.now() > end)
        throw new DpError("host", `the ${daemon.name} does not start`, { hint: `see ${logOf(daemon)}` });
      await Bun.sleep(20);
    }
  } finally {
    lock.release();
  }
}

function launch(daemon: Daemon): Promise<void> {
  const argv = [...program(daemon.program), daemon.folder];
  return startKept(keptOf(daemon), {
    argv,
    env: plainEnv(),
    user: daemon.user,
    restartDelay: 50,
    log: logOf(daemon),
  });
}

/** Ends it and its supervisor. Safe to repeat. */
export const stopSupervised = (daemon: Daemon): Promise<void> => endKept(keptOf(daemon));
