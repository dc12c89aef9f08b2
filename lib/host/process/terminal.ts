// A child with a terminal of its own, shown on dp's: what runs there can type nothing into the operator's shell.
import { writeSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { inOwnScope } from "./confine.ts";
import { commandInTerminal, isOther } from "./privilege.ts";

/** A program to be run for the operator, in sight. */
export interface Foreground {
  argv: readonly string[];
  cwd: string;
  env: Record<string, string>;
  /** Its user when dp is root. */
  user: string | undefined;
  /** The app in whose name it runs, beside its processes; without one it has no limits of its own. */
  app?: string;
}

/** How long what was printed last may be on its way, in ms. */
const LAST = 1_000;

/** Runs it to its end with a pseudo terminal that follows the size of dp's; answers its exit code. */
export async function inTerminal({ argv, cwd, env, user, app }: Foreground): Promise<number> {
  const drained = Promise.withResolvers<void>();
  // Before the child is there: a key that is typed while the mode changes could be lost.
  process.stdin.setRawMode(true);
  try {
    const inside = commandInTerminal(argv, { ...env, TERM: terminalType() }, user, cwd);
    const command = inOwnScope(inside, app, user);
    const child = Bun.spawn(command.argv, {
      cwd: isOther(user) ? "/" : cwd,
      env: command.env,
      // Made by spawn itself: only so the child gets a session of its own, and with it no hold of dp's terminal.
      terminal: { ...size(), data: (_, chunk) => show(chunk, 1), exit: () => drained.resolve() },
    });
    const hangUp = () => child.kill("SIGHUP");
    for (const signal of ["SIGHUP", "SIGTERM"] as const) process.once(signal, hangUp);
    const release = handOver(child.terminal!);
    const code = await child.exited;
    await Promise.race([drained.promise, Bun.sleep(LAST)]);
    release();
    return code;
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

const size = () => ({ cols: process.stdout.columns, rows: process.stdout.rows });

/** Passes keys and sizes of dp's terminal on to another, until the answer is called. */
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

// What the operator's terminal can do; nothing else of the operator's environment is handed on.
function terminalType(): string {
  const type = process.env["TERM"] ?? "";
  return /^[\w.+-]{1,64}$/.test(type) ? type : "xterm-256color";
}

/** Writes all of it, however slowly it is taken; what nobody looks at any more is dropped. */
export function show(chunk: Uint8Array, to: 1 | 2): void {
  for (let at = 0; at < chunk.length;) {
    try {
      at += writeSync(to, chunk, at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") return; // nobody looks any more
      Bun.sleepSync(1);
    }
  }
}
