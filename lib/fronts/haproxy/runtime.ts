// The runtime API of dp's HAProxy: sends commands to the master and, through it, to every worker.
import { codeOf, DpError } from "../../errors.ts";
import { filesOf } from "./places.ts";

const TIMEOUT = 10_000;
/** The error codes of connect(2) when HAProxy is not running. */
const ABSENT = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"]);

/**
 * Sends one line, or one command with lines of payload that ends in a line break, to the master; returns its reply.
 * Rejects with the system's error.
 */
function ask(line: string): Promise<string> {
  // An empty line ends a payload.
  const end = line.endsWith("\n") ? "\nquit\n" : ";quit\n";
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const parts: Buffer[] = [];
  const timer = setTimeout(() => reject(new Error(`HAProxy did not answer within ${TIMEOUT / 1000} s`)), TIMEOUT);
  const socket = Bun.connect({
    unix: filesOf().socket,
    socket: {
      // "quit" makes the master close the connection. Half-closing it would do, but Bun then stops reading.
      open: (opened) => void opened.write(line + end),
      data: (_, chunk) => void parts.push(chunk),
      close: () => resolve(Buffer.concat(parts).toString()),
      error: (_, error) => reject(error),
      connectError: (_, error) => reject(error),
    },
  });
  socket.catch(reject);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.then(
      (opened) => opened.terminate(),
      () => undefined,
    );
  });
}

/** One worker. `isCurrent`: it is not left over from a reload. */
export interface Worker {
  pid: number;
  isCurrent: boolean;
}

/** The processes of HAProxy. `failed`: how often the last reload failed. */
export interface Processes {
  master: number;
  workers: Worker[];
  failed: number;
}

/** Parses the output of "show proc". */
export function processesFrom(text: string): Processes | null {
  const master = /^(\d+)\s+master\s+\d+(?:\s+\[failed: (\d+)\])?/m.exec(text);
  if (master === null) return null;
  const old = text.indexOf("# old workers");
  const workers = [...text.matchAll(/^(\d+)\s+worker\s/gm)].map(({ 1: pid, index }) => ({
    pid: Number(pid),
    isCurrent: old === -1 || index < old,
  }));
  return { master: Number(master[1]), workers, failed: Number(master[2] ?? 0) };
}

/** The processes of HAProxy, or null when it is not running. Throws DpError "host" when this user may not ask. */
export async function processes(): Promise<Processes | null> {
  try {
    return processesFrom(await ask("show proc"));
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    if (ABSENT.has(code)) return null;
    const why = code === "EACCES" ? "this user may not talk to it" : (cause as Error).message;
    throw new DpError("host", `HAProxy cannot be reached: ${why}`, { hint: "sudo dp …", cause });
  }
}

/** Makes the master read its configuration again; returns before that is done. */
export const reload = () => ask("reload").catch(ignoreAbsence);

function ignoreAbsence(error: unknown): string {
  // The master re-executes itself during a reload, which closes its connections.
  if (ABSENT.has(codeOf(error) ?? "")) return "";
  throw error;
}

const PATIENCE = 10_000;

/** Sends commands to one worker; returns the replies, or null when the worker has exited or is still starting. */
export async function tell({ pid }: Worker, commands: readonly string[]): Promise<string | null> {
  const answer = await ask(commands.map((command) => `@!${pid} ${command}`).join(";")).catch(ignoreAbsence);
  return answer.includes("Can't find the target") ? null : answer;
}

/**
 * Does something to every worker, including workers that start in the meantime; returns the results by worker, without
 * null: that worker is done again if it is still there. Waits for a HAProxy that is restarting. Throws DpError "host"
 * when it is not running.
 */
export async function eachWorker<T>(work: (worker: Worker) => Promise<T | null>): Promise<Map<Worker, T>> {
  const results = new Map<Worker, T>();
  const done = new Set<number>();
  const end = performance.now() + PATIENCE;
  for (;;) {
    const now = await processes();
    const isComplete = now?.workers.some(({ isCurrent }) => isCurrent) ?? false;
    const next = isComplete ? now!.workers.filter(({ pid }) => !done.has(pid)) : [];
    if (isComplete && next.length === 0) return results;
    for (const worker of next) {
      const result = await work(worker);
      // A worker that has exited needs nothing, and one that is still starting is in the next list.
      if (result === null) continue;
      done.add(worker.pid);
      results.set(worker, result);
    }
    if (performance.now() > end) throw notRunning();
    if (next.length === 0) await Bun.sleep(20);
  }
}

/** Sends commands to every worker; returns the replies by worker. Throws DpError "host" when HAProxy is not running. */
export const tellAll = (commands: readonly string[]): Promise<Map<Worker, string>> =>
  eachWorker((worker) => tell(worker, commands));

/** The error when HAProxy is not running. */
export const notRunning = () => new DpError("host", "HAProxy does not run", { hint: "dp reconcile" });
