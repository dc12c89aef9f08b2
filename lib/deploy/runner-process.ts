// The process that works on a run: one that survives this one, or this one itself when nothing can end it by accident.
import { closeSync, openSync, writeSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { codeOf, EXIT } from "../errors.ts";
import { pipe } from "../host/process/libc.ts";
import { isOnItsOwn } from "../host/process/process.ts";
import { isReaderGone, onReaderGone } from "../host/process/reader.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { say } from "../text/say.ts";
import type { Order } from "./order.ts";
import type { Sink } from "../host/sink.ts";
import { logOf } from "../release/history.ts";

/** A process that is about to work on a run. */
export interface RunnerProcess {
  /** Gives it its order; null: there is nothing to do, and it exits. */
  order(order: Order | null): void;
  /** Its exit code. */
  ended: Promise<number>;
  /** Ends it by SIGTERM; after its switch it goes on. Only one of another process can be ended. */
  stop?(): void;
  /**
   * Tells the caller that `what` goes on, so that it can detach; answers the sink for the log. `leaves`: this process
   * exits once nobody reads stdout any more.
   */
  watched(out: Sink, what: string, leaves: boolean): Sink;
}

/**
 * Starts a runner process, which starts up while the run is still being begun. install.sh runs `dp rollback` in a
 * session of its own, watched by a small program, so dp need not start a second time there. The session of a key may be
 * ended at any time.
 */
export const startRunner = (app: NamedApp): RunnerProcess =>
  isOnItsOwn() && process.env["DP_KEY"] === undefined ? itself(app) : another(app);

// Goes below the ^C that the terminal shows.
function goesOn({ name }: NamedApp, what: string): void {
  say("");
  say(`dp: the ${what} continues: dp logs ${name} --deploy -f`);
}

/** A process in a session of its own. It exits with this process unless it got an order. */
export function another(app: NamedApp): RunnerProcess {
  const [read, write] = pipe();
  try {
    const stdio = { stdin: read, stdout: "ignore", stderr: "inherit" } as const;
    const child = Bun.spawn([...SELF, "work", app.name], { cwd: "/", env: selfEnv(), ...stdio, detached: true });
    child.unref(); // otherwise this process would wait for one that waits for it
    return {
      order(order) {
        if (order) tell(write, JSON.stringify(order));
        closeSync(write);
      },
      stop: () => child.kill("SIGTERM"),
      ended: child.exited.then((code) => (child.signalCode === null ? code : wasKilled(app))),
      watched(out, what, leaves) {
        leaveOnSignals(app, what);
        if (leaves) onReaderGone(() => process.exit(EXIT.hungUp));
        return out;
      },
    };
  } finally {
    closeSync(read);
  }
}

// If it died before it got its order, its exit code tells so.
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
  }
}

/** Reports that the run was killed and what to do; answers the exit code. */
export function wasKilled({ name }: NamedApp): number {
  say(`dp: the process of the deploy was killed; to finish or undo it: dp resume ${name}`);
  return EXIT.terminated;
}

// A reader that stops reading does not stop the deploy.
function leaveOnSignals(app: NamedApp, what: string): void {
  const leave = (code: number) => () => {
    goesOn(app, what);
    process.exit(code);
  };
  process.once("SIGINT", leave(EXIT.interrupted));
  process.once("SIGTERM", leave(EXIT.terminated));
  process.on("SIGHUP", () => undefined);
}

/** This process itself. A changed parent means that the caller has left. */
function itself(app: NamedApp): RunnerProcess {
  const parent = process.ppid;
  const ended = Promise.withResolvers<number>();
  const module = import("./work.ts");
  // A step that cannot be loaded fails when it is run.
  void module.then((worker) => worker.loadSwitch()).catch(() => undefined);
  let isLeft = false;
  // Until there is a run, a caller who leaves cancels it.
  const waiting = setInterval(() => {
    if (process.ppid !== parent) process.exit(EXIT.interrupted);
    if (isReaderGone()) process.exit(EXIT.hungUp);
  }, 50);
  return {
    order(order) {
      clearInterval(waiting);
      if (!order) return;
      process.chdir("/");
      const log = openSync(logOf(app, order.id), "a", 0o640);
      ended.resolve(module.then(({ work }) => work(app, order, log)).finally(() => closeSync(log)));
    },
    ended: ended.promise,
    watched: (out, what) => ({
      print(chunk) {
        if (process.ppid === parent) return out.print(chunk);
        if (!isLeft) goesOn(app, what);
        isLeft = true;
        return chunk.length;
      },
      end: () => out.end(),
    }),
  };
}
