// A child on dp's own stdin, stdout and stderr. Where one of these is a terminal, the child gets a pipe instead.
import { closeSync, writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { hangUp, signalGroup } from "./group.ts";
import { isTerminal, pipe } from "./libc.ts";
import { inOwnScope } from "./confine.ts";
import { commandOf, isOther } from "./privilege.ts";
import { onReaderGone } from "./reader.ts";
import { show, STOP_TIMEOUT, type Foreground } from "./terminal.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/**
 * Runs a program until it exits; returns its exit code. Signals that dp receives go to the program's whole group, which
 * is ended when nobody reads stdout any more.
 */
export async function attached({ argv, cwd, env, user, app, stopTimeout = STOP_TIMEOUT }: Foreground): Promise<number> {
  const typed = isTerminal(0) ? pipe() : null;
  const shown = ([1, 2] as const).map((fd) => (isTerminal(fd) ? { fd, ends: pipe() } : null));
  const command = inOwnScope(commandOf(argv, env, user, cwd), app, user);
  const child = Bun.spawn(command.argv, {
    cwd: isOther(user) ? "/" : cwd,
    env: command.env,
    stdin: typed ? typed[0] : "inherit",
    stdout: shown[0] ? shown[0].ends[1] : "inherit",
    stderr: shown[1] ? shown[1].ends[1] : "inherit",
    detached: true,
  });
  if (typed) closeSync(typed[0]);
  const copies = shown.flatMap((one) => {
    if (one === null) return [];
    closeSync(one.ends[1]);
    return [copy(one.ends[0], one.fd)];
  });
  const handlers = SIGNALS.map((signal) => [signal, () => signalGroup(child.pid, signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  const stop = typed ? forward(typed[1]) : () => undefined;
  let ending: Promise<void> | undefined;
  const stopLooking = onReaderGone(() => void (ending = hangUp(child.pid, stopTimeout)));
  try {
    const code = await child.exited;
    await ending;
    await Promise.all(copies);
    return code;
  } finally {
    stop();
    stopLooking();
    for (const [signal, handler] of handlers) process.off(signal, handler);
  }
}

async function copy(from: number, to: 1 | 2): Promise<void> {
  for await (const chunk of Bun.file(from).stream()) show(chunk, to);
  closeSync(from);
}

// Passes input on line by line, as the terminal delivers it; the end of input ends the child's input.
function forward(to: number): () => void {
  const type = (chunk: Uint8Array) => {
    try {
      writeSync(to, chunk);
    } catch (error) {
      if (codeOf(error) !== "EPIPE") throw error; // the child has closed its stdin
    }
  };
  const end = () => closeSync(to);
  process.stdin.on("data", type).once("end", end);
  return () => {
    process.stdin.off("data", type).off("end", end);
    process.stdin.pause();
  };
}
