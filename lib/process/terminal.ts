// A child with a terminal of its own, shown on dp's: what runs there can type nothing into the operator's shell.
import { chownSync, readlinkSync, writeSync } from "node:fs";
import { codeOf } from "../errors.ts";
import { idsOf } from "../setup/users.ts";
import { asUser } from "./privilege.ts";

/** A program to be run for the operator, in sight. */
export interface Foreground {
  argv: readonly string[];
  cwd: string;
  env: Record<string, string>;
  /** Its user when dp is root. */
  user: string | undefined;
}

/** How long what was printed last may be on its way, in ms. */
const LAST = 1_000;

/** Runs it to its end with a pseudo terminal that follows the size of dp's; answers its exit code. */
export async function inTerminal({ argv, cwd, env, user }: Foreground): Promise<number> {
  const ids = user !== undefined && process.getuid?.() === 0 ? await idsOf(user) : null;
  const drained = Promise.withResolvers<void>();
  const { columns: cols, rows } = process.stdout;
  const child = Bun.spawn(asUser(argv, user), {
    cwd,
    env: { ...env, TERM: terminalType() },
    terminal: { cols, rows, data: (_, chunk) => put(chunk), exit: () => drained.resolve() },
  });
  // Programs open their terminal by its name, and it was made by root.
  if (ids !== null) chownSync(readlinkSync(`/proc/${child.pid}/fd/0`), ...ids);
  const terminal = child.terminal!;
  const size = () => terminal.resize(process.stdout.columns, process.stdout.rows);
  const hangUp = () => child.kill("SIGHUP");
  const type = (chunk: Uint8Array) => void (terminal.closed || terminal.write(chunk));
  process.stdout.on("resize", size);
  for (const signal of ["SIGHUP", "SIGTERM"] as const) process.on(signal, hangUp);
  process.stdin.setRawMode(true);
  process.stdin.on("data", type);
  try {
    const code = await child.exited;
    await Promise.race([drained.promise, Bun.sleep(LAST)]);
    return code;
  } finally {
    process.stdin.off("data", type);
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.off("resize", size);
    for (const signal of ["SIGHUP", "SIGTERM"] as const) process.off(signal, hangUp);
    terminal.close();
  }
}

// What the operator's terminal can do; nothing else of the operator's environment is handed on.
function terminalType(): string {
  const type = process.env["TERM"] ?? "";
  return /^[\w.+-]{1,64}$/.test(type) ? type : "xterm-256color";
}

function put(chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length;) {
    try {
      at += writeSync(1, chunk, at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") return; // nobody looks any more
      Bun.sleepSync(1);
    }
  }
}
