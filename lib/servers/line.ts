// The line from the server that leads to another one, for one run: an order and words there, and what it says back.
import { eachLine, lastText } from "../host/bounded.ts";
import { shown } from "../text/text.ts";
import { BEAT, BEAT_WORD, readTold, type Order, type Told, type ToldOf, type Word } from "./messages.ts";
import { CUT, dpThere, reasonIn, sshEnv } from "./ssh.ts";

/** Lines of the other server's log that are kept for an error. */
const KEPT = 60;

/** The end of a server's part. */
export type Ended = Omit<ToldOf<"ended">, "is">;

/** A line that is open. */
export interface Line {
  readonly name: string;
  /** Resolves when the server has said that, with how long that took in ms; null: its part has ended before. */
  until<K extends "begun" | "ready" | "proven" | "kept">(is: K): Promise<(ToldOf<K> & { took: number }) | null>;
  /** Tells it a word. */
  say(word: Word): void;
  /** How its part ended. Exit code 255: the connection was cut, and it goes back by itself if nothing was kept. */
  readonly ended: Promise<Ended>;
  /** The last lines of its log. */
  log(): readonly string[];
  /** Ends the connection. */
  close(): void;
}

/** What has been said on a line so far, and who waits for more. */
class Heard {
  readonly #told = new Map<Told["is"], Told & { took: number }>();
  readonly #waiting = new Map<Told["is"], (() => void)[]>();
  readonly #begun = performance.now();
  readonly log: string[] = [];

  take(said: Told): void {
    if (said.is === "log") {
      if (this.log.push(said.line) > KEPT) this.log.shift();
      return;
    }
    this.#told.set(said.is, { ...said, took: Math.round(performance.now() - this.#begun) });
    for (const resolve of this.#waiting.get(said.is) ?? []) resolve();
  }

  /** What was said of that kind, or null. */
  of<K extends Told["is"]>(is: K): (ToldOf<K> & { took: number }) | null {
    return (this.#told.get(is) as (ToldOf<K> & { took: number }) | undefined) ?? null;
  }

  /** Resolves once something of that kind is said. */
  once(is: Told["is"]): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(is, [...(this.#waiting.get(is) ?? []), resolve]));
  }
}

/** Opens the line, and gives the order. */
export function openLine(name: string, address: string, app: string, order: Order): Line {
  const argv = dpThere(address, ["peer", "run", app]);
  const child = Bun.spawn(argv, { cwd: "/", env: sshEnv(), stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const heard = new Heard();
  const say = (line: string) => {
    try {
      child.stdin.write(`${line}\n`);
      void child.stdin.flush();
    } catch {
      // The connection is gone, which its end says.
    }
  };
  say(JSON.stringify(order));
  const beat = setInterval(() => say(BEAT_WORD), BEAT);
  beat.unref();
  const ended = endOf(child, (said) => heard.take(said)).then((reason): Ended => {
    clearInterval(beat);
    return heard.of("ended") ?? { ...CUT_OFF, error: reason };
  });
  return {
    name,
    ended,
    say,
    log: () => heard.log,
    async until(is) {
      if (heard.of(is) === null) await Promise.race([heard.once(is), ended]);
      return heard.of(is);
    },
    close: () => void child.kill(),
  };
}

const CUT_OFF = { code: CUT, step: null, live: null, release: null, switchTime: null, probes: null } as const;

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** Reads all that is said, to the end; answers why it ended. */
async function endOf(child: Child, take: (said: Told) => void): Promise<string> {
  const errors = lastText(child.stderr);
  await eachLine(child.stdout, (line) => {
    const said = readTold(line);
    if (said) take(said);
  });
  const code = await child.exited;
  return shown(reasonIn(await errors, code)).slice(0, 300);
}

/** The lines of the runs of this process, by run. */
const open = new Map<string, readonly Line[]>();

/** The lines of a run; null: it has none in this process. */
export const linesOf = (run: string): readonly Line[] | null => open.get(run) ?? null;

/** Notes the lines of a run. */
export const keepLines = (run: string, lines: readonly Line[]): void => void open.set(run, lines);
