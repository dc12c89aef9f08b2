// The runtime API of dp's HAProxy: commands to the master, and through it to every worker.
import { codeOf, DpError } from "../../errors.ts";
import { filesOf } from "./places.ts";

const TIMEOUT = 10_000;
/** What connect(2) says when nobody is there. */
const ABSENT = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"]);

/** Sends one line to the master; gives what came back. Rejects with the system's error. */
function ask(line: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const parts: Buffer[] = [];
  const timer = setTimeout(() => reject(new Error(`HAProxy did not answer within ${TIMEOUT / 1000} s`)), TIMEOUT);
  const socket = Bun.connect({
    unix: filesOf().socket,
    socket: {
      // "quit" makes the master close; a half-closed connection would do, but Bun's is read no more.
      open: (opened) => void opened.write(`${line};quit\n`),
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

/** One worker. `isCurrent`: it is no one that a reload has left behind to finish. */
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

/** The answer of "show proc". */
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

/** The processes of HAProxy, or null when it does not run. Throws DpError "host" when this user may not ask. */
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

/** Makes the master read its configuration again; answers before that is done. */
export const reload = () => ask("reload").catch(ignoreAbsence);

function ignoreAbsence(error: unknown): string {
  // The master becomes a new program at that moment, and its connections end.
  if (ABSENT.has(codeOf(error) ?? "")) return "";
  throw error;
}

const PATIENCE = 10_000;

/**
 * Sends commands to every worker, and again to those that came up meanwhile; answers by worker. Waits for an
 * HAProxy that restarts. Throws DpError "host" when it does not run.
 */
export async function tellAll(commands: readonly string[]): Promise<Map<Worker, string>> {
  const answers = new Map<Worker, string>();
  const told = new Set<number>();
  const end = performance.now() + PATIENCE;
  for (;;) {
    const now = await processes();
    const isComplete = now?.workers.some(({ isCurrent }) => isCurrent) ?? false;
    const next = isComplete ? now!.workers.filter(({ pid }) => !told.has(pid)) : [];
    if (isComplete && next.length === 0) return answers;
    for (const worker of next) {
      const answer = await ask(commands.map((command) => `@!${worker.pid} ${command}`).join(";")).catch(ignoreAbsence);
      // One that ended has nothing to do any more, and one that was not there yet is listed again.
      if (answer.includes("Can't find the target")) continue;
      told.add(worker.pid);
      answers.set(worker, answer);
    }
    if (performance.now() > end) throw notRunning();
    if (next.length === 0) await Bun.sleep(20);
  }
}

/** HAProxy does not run. */
export const notRunning = () => new DpError("host", "HAProxy does not run", { hint: "dp reconcile" });
