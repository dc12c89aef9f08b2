// Who works on a run: a process that survives this one, or this one itself when nothing can end it by accident.
import { closeSync, openSync, writeSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { codeOf, EXIT } from "../errors.ts";
import { pipe } from "../host/process/libc.ts";
import { isOnItsOwn } from "../host/process/process.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { say } from "../text/say.ts";
import type { Order } from "./order.ts";
import type { Sink } from "../host/sink.ts";
import { logOf } from "../release/history.ts";

/** A process that is about to work on a run. */
export interface RunnerProcess {
  /** Tells it what to do; null: nothing, and it ends. */
  order(order: Order | null): void;
  /** Its exit code. */
  ended: Promise<number>;
  /** Lets whoever typed the command leave, who is told that `what` goes on; answers where its log is to be printed. */
  watched(out: Sink, what: string): Sink;
}

/**
 * Starts a runner process, which gets ready while the run is still being begun. install.sh has `dp rollback` run in a session
 * of its own, with a small program to wait for it: it need not start dp a second time.
 */
export const startRunner = (app: NamedApp): RunnerProcess => (isOnItsOwn() ? itself(app) : another(app));

// After what the terminal shows of Ctrl-C.
function goesOn({ name }: NamedApp, what: string): void {
  say("");
  say(`dp: the ${what} continues: dp logs ${name} --deploy -f`);
}

/** A process in a session of its own. Without an order it ends when this process does. */
function another(app: NamedApp): RunnerProcess {
  const [read, write] = pipe();
  try {
    const stdio = { stdin: read, stdout: "ignore", stderr: "inherit" } as const;
    const child = Bun.spawn([...SELF, "work", app.name], { cwd: "/", env: selfEnv(), ...stdio, detached: true });
    child.unref(); // or this process would wait for one that waits for it
    return {
      order(order) {
        if (order) tell(write, JSON.stringify(order));
        closeSync(write);
      },
      ended: child.exited.then((code) => (child.signalCode === null ? code : wasKilled(app))),
      watched(out, what) {
        leaveOnSignals(app, what);
        return out;
      },
    };
  } finally {
    closeSync(read);
  }
}

// One that died before it was told anything says so by its exit code.
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
  }
}

/** Says it, and what is to be done; answers the exit code. */
export function wasKilled({ name }: NamedApp): number {
  say(`dp: the process of the deploy was killed; to finish or undo it: dp resume ${name}`);
  return EXIT.terminated;
}

// Whoever stops reading does not stop the deploy.
function leaveOnSignals(app: NamedApp, what: string): void {
  const leave = (code: number) => () => {
    goesOn(app, what);
    process.exit(code);
  };
  process.once("SIGINT", leave(EXIT.interrupted));
  process.once("SIGTERM", leave(EXIT.terminated));
  process.on("SIGHUP", () => undefined);
}

/** This process. Whoever typed the command has left when its parent is another one. */
function itself(app: NamedApp): RunnerProcess {
  const parent = process.ppid;
  const ended = Promise.withResolvers<number>();
  const module = import("./work.ts");
  let isLeft = false;
  // Before there is a run, leaving calls it off.
  const waiting = setInterval(() => process.ppid !== parent && process.exit(EXIT.interrupted), 50);
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
