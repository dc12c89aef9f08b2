// A child on its own pseudo-terminal, shown on dp's: the child cannot type into the operator's shell.
import { writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { inOwnScope } from "./confine.ts";
import { hangUp } from "./group.ts";
import { commandInTerminal, isOther } from "./privilege.ts";
import { within } from "../within.ts";

/** A program that runs in the foreground for the operator. */
export interface Foreground {
  argv: readonly string[];
  cwd: string;
  env: Record<string, string>;
  /** The user it runs as when dp is root. */
  user: string | undefined;
  /** The app that it runs for, apart from the app's own processes. Missing: it has no limits of its own. */
  app?: string;
  /** How long it may take to end after SIGTERM, in ms, when its user has gone. */
  stopTimeout?: number;
}

/** The default of `stopTimeout`. */
export const STOP_TIMEOUT = 10_000;

/** How long the last output may take to arrive, in ms. */
const LAST = 1_000;

/** Runs a program on a pseudo-terminal that follows the size of dp's, until it exits; returns its exit code. */
export async function inTerminal({
  argv,
  cwd,
  env,
  user,
  app,
  stopTimeout = STOP_TIMEOUT,
}: Foreground): Promise<number> {
  const drained = Promise.withResolvers<void>();
  // Before the child starts: a key that is typed while the mode changes could be lost.
  process.stdin.setRawMode(true);
  try {
    const inside = commandInTerminal(argv, { ...env, TERM: terminalType() }, user, cwd);
    const command = inOwnScope(inside, app, user);
    const child = Bun.spawn(command.argv, {
      cwd: isOther(user) ? "/" : cwd,
      env: command.env,
      // spawn must make the terminal itself: only then does the child get its own session, without access to dp's
      // terminal.
      terminal: { ...size(), data: (_, chunk) => show(chunk, 1), exit: () => drained.resolve() },
    });
    for (const signal of ["SIGHUP", "SIGTERM"] as const)
      process.once(signal, () => void hangUp(child.pid, stopTimeout));
    const release = handOver(child.terminal!);
    const code = await child.exited;
    await within(LAST, drained.promise);
    release();
    return code;
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

const size = () => ({ cols: process.stdout.columns, rows: process.stdout.rows });

/** Passes keys and size changes of dp's terminal on to another, until the returned function is called. */
function handOver(terminal: Bun.Terminal): () => void {
  const resize = () => terminal.resize(size().cols, size().rows);
  const type = (chunk: Uint8Array) => void (terminal.closed || terminal.write(chunk));
  process.stdin.on("data", type);
  process.stdout.on("resize", resize);
  return () => {
    process.stdout.off("resize", resize);
    process.stdin.off("data", type);
    terminal.close();
  };
}

// The child learns the type of the operator's terminal; nothing else of the operator's environment is passed on.
function terminalType(): string {
  const type = process.env["TERM"] ?? "";
  return /^[\w.+-]{1,64}$/.test(type) ? type : "xterm-256color";
}

/** Writes the whole chunk, however slow the reader is. It is dropped when the reader is gone. */
export function show(chunk: Uint8Array, to: 1 | 2): void {
  for (let at = 0; at < chunk.length;) {
    try {
      at += writeSync(to, chunk, at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") return; // the reader is gone
      Bun.sleepSync(1);
    }
  }
}
