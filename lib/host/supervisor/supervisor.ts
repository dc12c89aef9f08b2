// Keeps one instance running: a separate process, started by the builtin manager with the instance's spec.
import { closeSync, readSync } from "node:fs";
import { endAll } from "../process/end-all.ts";
import { howEnded, type Ended } from "../process/ending.ts";
import { messageOf } from "../../errors.ts";
import { bootId, startTime } from "../process/process.ts";
import { SHARED } from "../self.ts";
import { adopt, launch, type AppProcess, type Ended as AppEnded } from "./app-process.ts";
import { say } from "../../text/say.ts";
import type { Guard } from "./guard.ts";
import { orderOf, specOf, type Order } from "./order.ts";
import { superviseMany } from "./many.ts";
import { processesOf, readRecord, keepState, type Identity, type Spec, type State } from "./supervision.ts";

const MINUTE = 60_000;
const MAX_EXITS = 5;

/** The crashes of the last minute, and the delay before the next start. */
export interface Crashes {
  /** Times in ms, of a monotonic clock. */
  recent: readonly number[];
  /** Milliseconds to wait now; null: five crashes within a minute, so it gives up. */
  delay: number | null;
}

/** Counts a crash at `now`, after the process had run for `ran` ms; `first` is the shortest delay. */
export function countCrash(crashes: Crashes, now: number, ran: number, first: number): Crashes {
  const recent = [...crashes.recent.filter((time) => now - time < MINUTE), now];
  if (recent.length >= MAX_EXITS) return { recent, delay: null };
  const isFirst = crashes.recent.length === 0 || ran >= MINUTE;
  return { recent, delay: isFirst ? first : Math.min((crashes.delay ?? first) * 2, MINUTE) };
}

const identityOf = (pid: number): Identity => ({ pid, startTime: startTime(pid) ?? 0 });

/** One life of the main process, from start to end. */
interface Life {
  /** Milliseconds between start and end. */
  ran: number;
  detail: string;
  /** How the process ended; null: nobody saw it, or it could not be started. */
  ended: Ended | null;
  /** Why the process could not be started. */
  refusal: string | null;
  /** Whether its other processes have not been ended. */
  isLeft: boolean;
}

const UNSEEN = "ended unobserved";

/**
 * Watches one run of the main process to its end or until `stop`; ends all its processes. With `isShared` it leaves them when
 * the main process ended by itself: they may be thousands, and other instances would wait until they are found.
 */
async function runOnce(
  spec: Spec,
  begin: () => AppProcess,
  stop: Promise<void>,
  isShared: boolean,
  started: (app: AppProcess) => Promise<void>,
): Promise<Life> {
  const begun = performance.now();
  try {
    const app = begin();
    await started(app);
    const hasEnded = await Promise.race([app.ended.then(() => true), stop.then(() => false)]);
    const isLeft = isShared && hasEnded;
    const ran = performance.now() - begun;
    // The marker is in the spec, because a supervisor has no DP_ROOT.
    const find = () => processesOf(spec, spec.uid, app.main, spec.env["DP_INSTANCE"]);
    if (!isLeft) await endAll(find, spec.stopTimeout);
    const [code, signal] = await app.ended;
    await app.finish();
    if (code === null && signal === null) return { ran, detail: UNSEEN, ended: null, refusal: null, isLeft };
    const ended = signal === null ? { code: code! } : { signal };
    return { ran, detail: howEnded(ended), ended, refusal: null, isLeft };
  } catch (error) {
    const refusal = messageOf(error);
    return { ran: 0, detail: `cannot be started: ${refusal}`, ended: null, refusal, isLeft: false };
  }
}

/** How a main process ended, as `adopt` takes it. */
function seenEnd(ended: Ended | null): AppEnded {
  if (ended === null) return [null, null];
  return "code" in ended ? [ended.code, null] : [null, ended.signal];
}

const isGood = ({ ended }: Life): boolean => ended !== null && "code" in ended && ended.code === 0;

const WITHDRAWN = "it was withdrawn";

/** Launches it, and throws when it was withdrawn meanwhile: another supervisor may have it by now, and records what it does. */
function launchWanted(spec: Spec, isWithdrawn: () => boolean): AppProcess {
  const app = launch(spec);
  if (!isWithdrawn()) return app;
  process.kill(-app.main.pid, "SIGKILL"); // it has a session of its own
  throw new Error(WITHDRAWN);
}

/** The initial state of this supervisor. */
const stateAfter = (before: State | null): State => ({
  state: "waiting",
  restarts: before?.restarts ?? 0,
  since: null,
  detail: "",
  ended: null,
  refusal: null,
  boot: bootId(),
  supervisor: identityOf(process.pid),
  main: null,
  output: null,
  hasRun: before?.hasRun ?? false,
});

async function record(spec: Spec, state: State): Promise<void> {
  try {
    await keepState(spec.state, state);
  } catch {
    // A full disk must not end the app: the next state is written in full as well.
  }
}

/**
 * Starts the instance, and restarts it whenever it ends, with any code, until it fails for good or `stop` resolves. A job
 * is started once. `before`: the state that another supervisor left behind; its main process is adopted. `own`: the guard to
 * which the instance is left as soon as its app has ended, if this supervisor has others. `isWithdrawn` is asked when it has
 * been launched for the first time.
 */
export async function supervise(
  spec: Spec,
  stop: Promise<void>,
  before: State | null = null,
  own: Guard | null = null,
  isWithdrawn: () => boolean = () => false,
): Promise<void> {
  if (before?.state === "stopped" || before?.state === "failed") return;
  let isStopping = false;
  const stopping = stop.then(() => void (isStopping = true));
  const state = stateAfter(before);
  const save = (change: Partial<State>) => record(spec, Object.assign(state, change));
  let crashes: Crashes = { recent: [], delay: null };
  const { main: left = null, output: printed = null, ended: seen = null } = before ?? {};
  const first = () => launchWanted(spec, isWithdrawn);
  let begin = left === null || printed === null ? first : () => adopt(spec, left, printed, seenEnd(seen));
  let since = before?.since ?? new Date().toISOString();
  for (;;) {
    const run = await runOnce(spec, begin, stopping, own !== null, ({ main, output }) =>
      save({ state: "running", main, output, hasRun: true, since, detail: "", ended: null }),
    );
    if (run.refusal === WITHDRAWN) return;
    const { ran, isLeft, ...how } = run;
    if (own && isLeft) {
      await save({ ...how, supervisor: identityOf(own.pid() ?? process.pid) });
      return own.leave();
    }
    const ended = { main: null, output: null, since: null, ...how };
    if (isStopping) return save({ main: null, output: null, since: null, state: "stopped", detail: "" });
    if (spec.restartDelay === null) return save({ ...ended, state: isGood(run) ? "stopped" : "failed" });
    crashes = countCrash(crashes, performance.now(), ran, spec.restartDelay);
    if (crashes.delay === null || !state.hasRun) return save({ ...ended, state: "failed" });
    await save({ ...ended, state: "waiting" });
    await Promise.race([Bun.sleep(crashes.delay), stopping]);
    if (isStopping) return save({ state: "stopped", detail: "" });
    state.restarts++;
    [begin, since] = [() => launch(spec), new Date().toISOString()];
  }
}

/** Waits for the byte that lets it begin; false: the process that would have sent the byte is gone. */
function isLetIn(gate: number): boolean {
  try {
    return readSync(gate, Buffer.alloc(1)) === 1;
  } finally {
    closeSync(gate);
  }
}

/** Takes over from a supervisor that was killed or has left it, or begins. */
async function superviseSpec(path: string, stop: Promise<void>): Promise<void> {
  const again = process.env["DP_AGAIN"];
  // The order of a supervisor of many may be stale: whatever lies at the path now has another supervisor.
  const spec = specOf(again?.startsWith("{") ? (JSON.parse(again) as Order) : orderOf(path));
  if (spec === null) return;
  const noted = await readRecord<State>(spec.state);
  const before = noted?.boot === bootId() ? noted : null;
  // The previous supervisor was killed after it had started the app and before it could record that.
  const isLost = again !== undefined && !before?.main;
  if (isLost) await endAll(() => processesOf(spec, spec.uid, null, spec.env["DP_INSTANCE"]), spec.stopTimeout);
  await supervise(spec, stop, before);
}

/** The whole program: a spec, or the name of a supervisor of many, is what it supervises. */
export async function main(what?: string): Promise<void> {
  if (what === undefined) {
    say("dp supervisor: usage: supervisor.ts SPEC");
    process.exit(2);
  }
  // Before the signal handlers: a waiting supervisor simply exits on a signal. The successor of a killed supervisor needs
  // no gate.
  const gate = process.env["DP_AGAIN"] === undefined ? process.env["DP_GATE"] : undefined;
  if (gate !== undefined && !isLetIn(Number(gate))) return;
  const asked = Promise.withResolvers<void>();
  process.on("SIGTERM", () => asked.resolve());
  process.on("SIGINT", () => asked.resolve());
  process.on("SIGHUP", () => undefined);
  if (what.startsWith(SHARED))
    await superviseMany((spec, stop, own, isWithdrawn) => supervise(spec, stop, null, own, isWithdrawn), asked.promise);
  else await superviseSpec(what, asked.promise);
  process.exit(0);
}

if (import.meta.main) void main(process.argv[2]);
