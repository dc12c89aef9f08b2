// A command in a terminal of its own, as a person sees and types it.
import { until } from "./sandbox.ts";

export interface Typed {
  /** All that was shown so far, without carriage returns. */
  shown(): string;
  type(keys: string): void;
  resize(columns: number, rows: number): void;
  /** Waits until the text is shown. */
  sees(text: string | RegExp): Promise<void>;
  done: Promise<number>;
  pid: number;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a command in a terminal of 91 columns and 31 rows. */
export function inTerminal(argv: readonly string[], env: Record<string, string>, cwd = "/"): Typed {
  let text = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([...argv], {
    cwd,
    env: { TERM: "xterm", ...env },
    terminal: { cols: 91, rows: 31, data: (_, chunk) => void (text += decoder.decode(chunk, { stream: true })) },
  });
  const shown = () => text.replaceAll("\r", "");
  return {
    shown,
    type: (keys) => void child.terminal!.write(keys),
    resize: (columns, rows) => child.terminal!.resize(columns, rows),
    async sees(wanted) {
      await until(`${wanted} is shown; so far: ${JSON.stringify(shown())}`, () =>
        typeof wanted === "string" ? shown().includes(wanted) : wanted.test(shown()),
      );
    },
    done: child.exited,
    pid: child.pid,
    kill: (signal) => child.kill(signal),
  };
}
