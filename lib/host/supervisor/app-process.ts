// The main process of an instance: started by a supervisor, or found again by the one that follows a killed one.
import { closeSync, constants, fchownSync, fstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { pipe } from "../process/libc.ts";
import { commandOf, isOther } from "../process/privilege.ts";
import { isAlive, startTime } from "../process/process.ts";
import { keepOutput, openOutput } from "./output.ts";
import { ownUser, processesOf, type Identity, type Spec } from "./supervision.ts";

/** How long what an ended process printed last may be on its way, in ms. */
const DRAIN = 500;
/** How often it is asked whether a process that is no child still runs, in ms. */
const LOOK = 100;

/** How a main process ended; both null: nobody was there to see it. */
export type Ended = [code: number | null, signal: string | null];

/** A main process that runs. */
export interface AppProcess {
  main: Identity;
  /** The inode of the pipe that it prints into. */
  output: number;
  ended: Promise<Ended>;
  /** Once all of it has ended: waits until what it printed is in the log. */
  finish(): Promise<void>;
}

/** Starts the main process, in a session of its own; its output goes through here into the log. */
export function launch(spec: Spec): AppProcess {
  const user = spec.user ?? undefined;
  const { argv, env } = commandOf(["/bin/sh", spec.script], spec.env, user, spec.folder);
  const [read, write] = pipe();
  let both: number | null = null;
  try {
    // It holds the end that is read from, too: without that its next print would end it when this process is killed.
    both = openSync(`/proc/self/fd/${write}`, constants.O_RDWR);
    // Else its user could not open /dev/stderr.
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

/** Goes on with a main process whose supervisor was killed. */
export function adopt(spec: Spec, main: Identity, output: number): AppProcess {
  const read = readEndOf(spec, main, output);
  const gone = async (): Promise<Ended> => {
    while (isAlive(main.pid, main.startTime)) await Bun.sleep(LOOK);
    return [null, null];
  };
  return { main, output, ended: gone(), finish: read === null ? async () => undefined : keep(read, spec) };
}

/** Writes what comes out of a pipe into the log; answers what waits for the end of that. */
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

/** Opens the pipe of that inode anew by a process of the instance that has it; null: none has it any more. */
function readEndOf(spec: Spec, main: Identity, output: number): number | null {
  for (const pid of processesOf(spec, spec.uid, main, spec.env["DP_INSTANCE"])) {
    for (const path of filesOf(pid)) {
      try {
        // What the app has open may be anything: only that very pipe is opened.
        if (readlinkSync(path) !== `pipe:[${output}]`) continue;
        const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        if (fstatSync(read).isFIFO() && fstatSync(read).ino === output) return read;
        closeSync(read);
      } catch {
        // it has gone, or closed it, meanwhile
      }
    }
  }
  return null;
}

function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`);
  } catch {
    return []; // it has gone
  }
}
