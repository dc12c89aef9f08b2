// A job of systemd, over the bus: a unit is started or stopped, and whoever asked for it waits until that is done.
import { MANAGER, over, SYSTEMD } from "./ask.ts";
import type { Bus } from "./bus.ts";

const BUS = { to: "org.freedesktop.DBus", at: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };
const REMOVED = { member: "JobRemoved", name: `${MANAGER.interface}.JobRemoved` };
const RULE = `type='signal',sender='${SYSTEMD}',path='${MANAGER.at}',interface='${MANAGER.interface}',member='${REMOVED.member}'`;
/** Milliseconds between two questions whether the job is still there: a signal may be lost while systemd starts anew. */
const LOOK = 2_000;

/** The connection on which the signals were asked for last, and the answers to that. */
let listening: { open: Bus; answers: Promise<unknown> } | null = null;

/** Asks for the signals of all jobs, once for each connection. No job that is begun on it later is missed. */
function listen(open: Bus): Promise<unknown> {
  if (listening?.open !== open) {
    const matched = open.call({ ...BUS, method: "AddMatch", args: [RULE] });
    const answers = Promise.all([matched, open.call({ ...MANAGER, method: "Subscribe" })]);
    answers.catch(() => undefined); // whoever waits for a job is told
    listening = { open, answers };
  }
  return listening.answers;
}

/**
 * Starts or stops a unit, and waits for the end of that. False: it was not done, or nobody knows; then systemctl does it
 * again, and has the words for what is wrong. Throws the reason of `signal` when that is aborted.
 */
export async function doJob(method: "StartUnit" | "StopUnit", unit: string, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const result = await over((open) => resultOf(open, { method, unit }, signal));
  signal.throwIfAborted();
  return result === "done";
}

/** How a job ended: "done", "failed" ... Empty: nobody knows, or `signal` was aborted. */
async function resultOf(open: Bus, { method, unit }: { method: string; unit: string }, signal: AbortSignal) {
  // A quick job has ended before systemd answers which one it is.
  const results = new Map<string, string>();
  let job: string | undefined;
  const end = Promise.withResolvers<void>();
  const deaf = open.hear(REMOVED.name, ([, path, , result]) => {
    results.set(String(path), String(result));
    if (path === job) end.resolve();
  });
  const look = setInterval(() => {
    if (job !== undefined) requireJob(open, job).catch(() => end.resolve());
  }, LOOK);
  const abort = () => end.resolve();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const heard = listen(open);
    job = String((await open.call({ ...MANAGER, method, args: [unit, "replace"] }))[0]);
    await heard;
    if (!results.has(job)) await end.promise;
    return results.get(job) ?? "";
  } finally {
    deaf();
    clearInterval(look);
    signal.removeEventListener("abort", abort);
  }
}

const GET = { to: SYSTEMD, interface: "org.freedesktop.DBus.Properties", method: "Get" };

/** Throws when systemd has no such job any more, or nobody answers. */
const requireJob = (open: Bus, job: string) => open.call({ ...GET, at: job, args: [`${SYSTEMD}.Job`, "State"] });

/** Makes systemd forget that a unit has failed. False: ask systemctl. */
export async function resetFailed(unit: string): Promise<boolean> {
  return (await over((open) => open.call({ ...MANAGER, method: "ResetFailedUnit", args: [unit] }))) !== null;
}
