// A server-wide process (the relay, the static server) without systemd: run by the same small supervisor as the apps.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { variablesFile } from "../compilers.ts";
import { waitForLock } from "../lock.ts";
import { plainEnv } from "../run.ts";
import { program } from "../self.ts";
import { endKept, isKept, startKept, type Kept } from "./kept.ts";

/** A process that is kept running, one for each folder. */
export interface Daemon {
  /** "relay". */
  name: string;
  /** The path of the program in dp's tree. Its only argument is the folder. */
  program: string;
  /** The folder of its records. It belongs to dp, and the process's user cannot write there. */
  folder: string;
  /** The user that it runs as; null: the user that runs dp. */
  user: string | null;
}

const STOP_TIMEOUT = 35_000;
const PATIENCE = 10_000;
/** Milliseconds between two looks whether it answers. */
const LOOK = 5;

/**
 * The daemon as the supervisor knows it. The folder is part of the marker: stopping one server's relay must not stop
 * another's.
 */
export const keptOf = ({ name, folder }: Daemon): Kept => ({
  stem: join(folder, name),
  instance: { app: name, id: "0" },
  marker: `${name}@0:${folder}`,
  stopTimeout: STOP_TIMEOUT,
});

/** The log file of a process that runs without systemd. */
export const logOf = ({ name, folder }: Pick<Daemon, "name" | "folder">) => join(folder, `${name}.log`);

/** What this process is starting, by folder: of many apps that need it each would have to wait for the lock. */
const starting = new Map<string, Promise<boolean>>();

/**
 * Starts the process under a supervisor unless it has one; returns once `answers` is true. True: this call has started
 * it, and none of those that waited with it. Throws DpError "host".
 */
export async function superviseDaemon(daemon: Daemon, answers: () => Promise<boolean>): Promise<boolean> {
  const { stem } = keptOf(daemon);
  const underWay = starting.get(stem);
  if (underWay) {
    await underWay;
    return false;
  }
  const started = supervise(daemon, answers).finally(() => starting.delete(stem));
  starting.set(stem, started);
  return started;
}

/** Whether it did not answer before. */
async function supervise(daemon: Daemon, answers: () => Promise<boolean>): Promise<boolean> {
  await mkdir(daemon.folder, { recursive: true, mode: 0o700 });
  const lock = await waitForLock(
    join(daemon.folder, "start.lock"),
    () => undefined,
    () => undefined,
  );
  try {
    if (await answers()) return false;
    if (!isKept(keptOf(daemon))) await launch(daemon);
    const end = performance.now() + PATIENCE;
    while (!(await answers())) {
      if (performance.now() > end)
        throw new DpError("host", `the ${daemon.name} does not start`, { hint: `see ${logOf(daemon)}` });
      await Bun.sleep(LOOK);
    }
    return true;
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
    // Another version of Bun may be installed when it is started again.
    variables: variablesFile,
  });
}

/** Ends the process and its supervisor. Safe to repeat. */
export const stopSupervised = (daemon: Daemon): Promise<void> => endKept(keptOf(daemon));
