// Keeps one instance running: a process of its own, started by the builtin manager with the instance's spec.
import { closeSync, fchownSync, fstatSync, readFileSync } from "node:fs";
import { howEnded, isClean } from "../process/ending.ts";
import { messageOf } from "../errors.ts";
import { pipe } from "../process/libc.ts";
import { bootId, startTime } from "../process/process.ts";
import { asUser, isOther } from "../process/privilege.ts";
import { keepOutput, openOutput } from "./output.ts";
import { endAll, ownUser, processesOf, writeRecord, type Identity, type Spec, type State } from "./supervision.ts";

const MINUTE = 60_000;
const MAX_EXITS = 5;

/** The crashes of the last minute, and the delay before the next start. */
export interface Crashes {
  /** Times in ms, of any clock that only goes forward. */
  recent: readonly number[];
  /** Milliseconds to wait now; null: five crashes within a minute, give up. */
  delay: number | null;
}

/** Counts one more crash at `now`, after the process had run for `ran` ms; `first` is the shortest delay. */
export function countCrash(crashes: Crashes, now: number, ran: number, first: number): Crashes {
  const recent = [...crashes.recent.filter((time) => now - time < MINUTE), now];
  if (recent.length >= MAX_EXITS) return { recent, delay: null };
  const isFirst = crashes.recent.length === 0 || ran >= MINUTE;
  return { recent, delay: isFirst ? first : Math.min((crashes.delay ?? first) * 2, MINUTE) };
}

/** How long what an ended process printed last may be on its way, in ms. */
const DRAIN = 500;

/** Starts the main process, in a session of its own; its output goes through here into the log. */
function launch(spec: Spec) {
  const user = spec.user ?? undefined;
  const argv = asUser(["/bin/sh", spec.script], user, spec.folder);
  const log = openOutput(spec.log);
  const [read, write] = pipe();
  try {
    // Else its user could not open /dev/stderr.
    if (spec.uid !== ownUser()) fchownSync(write, spec.uid, fstatSync(write).gid);
    const child = Bun.spawn(argv, {
      cwd: isOther(user) ? "/" : spec.folder,
      env: spec.env,
      stdin: "ignore",
      stdout: write,
      stderr: write,
      detached: true,
    });
    const ended = Promise.withResolvers<void>();
    const kept = keepOutput(Bun.file(read).stream(), log, ended.promise).finally(() => {
      log.close();
      closeSync(read);
    });
    const finish = async () => {
      const timer = setTimeout(ended.resolve, DRAIN);
      await kept;
      clearTimeout(timer);
    };
    return { child, finish };
  } catch (error) {
    closeSync(read);
    log.close();
    throw error;
  } finally {
    closeSync(write);
  }
}

const identityOf = (pid: number): Identity => ({ pid, startTime: startTime(pid) ?? 0 });

interface Run {
  main: Identity | null;
  /** Milliseconds between start and end. */
  ran: number;
  detail: string;
  /** Exited with 0. */
  isGood: boolean;
  isClean: boolean;
}

/** Runs the main process once, to its end or until `stop`; nothing of it is left then. */
async function runOnce(spec: Spec, stop: Promise<void>, started: (main: Identity) => Promise<void>): Promise<Run> {
  const begun = performance.now();
  try {
    const { child, finish } = launch(spec);
    const main = identityOf(child.pid);
    await started(main);
    await Promise.race([child.exited, stop]);
    const ran = performance.now() - begun;
    // The spec says it, because a supervisor has no DP_ROOT.
    await endAll(() => processesOf(spec, spec.uid, main, spec.env["DP_INSTANCE"]), spec.stopTimeout);
    await child.exited;
    await finish();
    const [code, signal] = [child.exitCode, child.signalCode === null ? null : String(child.signalCode)];
    const isGood = code === 0 && signal === null;
    return { main, ran, detail: howEnded(code, signal), isGood, isClean: isClean(code, signal) };
  } catch (error) {
    return { main: null, ran: 0, detail: `cannot be started: ${messageOf(error)}`, isGood: false, isClean: false };
  }
}

/** Starts the instance, and again after each crash, until it ends by itself, fails for good, or `stop` resolves. */
export async function supervise(spec: Spec, stop: Promise<void>): Promise<void> {
  let isStopping = false;
  const stopping = stop.then(() => void (isStopping = true));
  const boot = bootId();
  const supervisor = identityOf(process.pid);
  let state: State = {
    state: "waiting",
    restarts: 0,
    since: null,
    detail: "",
    boot,
    supervisor,
    main: null,
    hasRun: false,
  };
  const save = async (change: Partial<State>) => {
    state = { ...state, ...change };
    try {
      await writeRecord(spec.state, state);
    } catch {
      // A full disk must not end the app: the next change is written with all the rest.
    }
  };
  let crashes: Crashes = { recent: [], delay: null };
  for (;;) {
    const run = await runOnce(spec, stopping, (main) =>
      save({ state: "running", main, hasRun: true, since: new Date().toISOString(), detail: "" }),
    );
    const ended = { main: null, since: null, detail: run.detail };
    if (isStopping) return save({ ...ended, state: "stopped", detail: "" });
    if (spec.restartDelay === null ? run.isGood : run.isClean) return save({ ...ended, state: "stopped" });
    if (spec.restartDelay === null) return save({ ...ended, state: "failed" });
    crashes = countCrash(crashes, performance.now(), run.ran, spec.restartDelay);
    if (crashes.delay === null || !state.hasRun) return save({ ...ended, state: "failed" });
    await save({ ...ended, state: "waiting" });
    await Promise.race([Bun.sleep(crashes.delay), stopping]);
    if (isStopping) return save({ state: "stopped", detail: "" });
    state.restarts++;
  }
}

async function main(): Promise<void> {
  const asked = Promise.withResolvers<void>();
  process.on("SIGTERM", () => asked.resolve());
  process.on("SIGINT", () => asked.resolve());
  process.on("SIGHUP", () => undefined);
  await supervise(JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Spec, asked.promise);
  process.exit(0);
}

// Not awaited: bytecode knows no await outside of functions.
if (import.meta.main) void main();
