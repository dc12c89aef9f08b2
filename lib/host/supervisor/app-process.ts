// The main process of an instance: started by a supervisor, or adopted by the successor of a killed supervisor.
import { closeSync, constants, fchownSync, fstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { pipe } from "../process/libc.ts";
import { commandOf, isOther } from "../process/privilege.ts";
import { isAlive, startTime } from "../process/process.ts";
import { keepOutput, openOutput } from "./output.ts";
import { ownUser, processesOf, type Identity, type Spec } from "./supervision.ts";

/** How long the last output of an ended process may take to arrive, in ms. */
const DRAIN = 500;
/** How often to check whether a process that is not a child is still running, in ms. */
const LOOK = 100;

/** How a main process ended; both null: nobody saw it. */
export type Ended = [code: number | null, signal: string | null];

/** A running main process. */
export interface AppProcess {
  main: Identity;
  /** The inode of its output pipe. */
  output: number;
  ended: Promise<Ended>;
  /** Called when all of its processes have ended: waits until their output is in the log. */
  finish(): Promise<void>;
}

/** Starts the main process in a new session; its output is copied into the log. */
export function launch(spec: Spec): AppProcess {
  const user = spec.user ?? undefined;
  const { argv, env } = commandOf(["/bin/sh", spec.script], spec.env, user, spec.folder);
  const [read, write] = pipe();
  let both: number | null = null;
  try {
    // The app also holds the read end: otherwise its next write would kill it after this process has been killed.
    both = openSync(`/proc/self/fd/${write}`, constants.O_RDWR);
    // Without this the app's user could not open /dev/stderr.
    if (spec.uid !== ownUser()) fchownSync(write, spec.uid, fstatSync(write).gid);
    const output = fstatSync(write).ino;
    const child = Bun.spawn(argv, {
      cwd: isOther(user) ? "/" : spec.folder,
      env,
      stdin: "ignore",
      stdout: both,
      stderr: both,
      detached: true,
    });
    const main = { pid: child.pid, startTime: startTime(child.pid) ?? 0 };
    const end = (): Ended => [child.exitCode, child.signalCode === null ? null : String(child.signalCode)];
    return { main, output, ended: child.exited.then(end), finish: keep(read, spec) };
  } catch (error) {
    closeSync(read);
    throw error;
  } finally {
    closeSync(write);
    if (both !== null) closeSync(both);
  }
}

/** Takes over a main process from another supervisor; `seen`: how it ended before that, if the other one has seen it. */
export function adopt(spec: Spec, main: Identity, output: number, seen: Ended): AppProcess {
  const read = readEndOf(spec, main, output);
  const gone = async (): Promise<Ended> => {
    if (!isAlive(main.pid, main.startTime)) return seen;
    while (isAlive(main.pid, main.startTime)) await Bun.sleep(LOOK);
    return [null, null];
  };
  return { main, output, ended: gone(), finish: read === null ? async () => undefined : keep(read, spec) };
}

/** Copies the output of a pipe into the log; returns a function that waits for its end. */
function keep(read: number, spec: Spec): () => Promise<void> {
  const log = openOutput(spec.log);
  const ended = Promise.withResolvers<void>();
  const kept = keepOutput(Bun.file(read).stream(), log, ended.promise).finally(() => {
    log.close();
    closeSync(read);
  });
  return async () => {
    const timer = setTimeout(ended.resolve, DRAIN);
    await kept;
    clearTimeout(timer);
  };
}

/** Reopens the pipe with that inode through a process of the instance that holds it; null: no process holds it any more. */
function readEndOf(spec: Spec, main: Identity, output: number): number | null {
  for (const pid of processesOf(spec, spec.uid, main, spec.env["DP_INSTANCE"])) {
    for (const path of filesOf(pid)) {
      try {
        // The app's open files may be anything: only the expected pipe is opened.
        if (readlinkSync(path) !== `pipe:[${output}]`) continue;
        const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        if (fstatSync(read).isFIFO() && fstatSync(read).ino === output) return read;
        closeSync(read);
      } catch {
        // the process has gone, or closed the pipe, in the meantime
      }
    }
  }
  return null;
}

function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`);
  } catch {
    return []; // the process is gone
  }
}
