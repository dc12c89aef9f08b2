// The guard of an instance whose supervisor has many: a shell that outlives the supervisor, and starts another one for this
// instance when it was killed or has left it. To the rest of dp it is the instance's supervisor: it is found by the spec, and
// sent SIGTERM.
import { closeSync, writeSync } from "node:fs";
import { pipes } from "../process/libc.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";
import type { Order } from "./order.ts";

/** How long to wait before a guard that was killed is replaced, in ms. */
const PAUSE = 200;
/** Seconds between the supervisors that guards start when the one of all was killed: about what one takes to start. */
const TURN = 0.03;

/** What a guard is told: the instance has ended, or is left to it. */
type Word = "0" | "254";

/** What guards an instance. */
export interface Guard {
  /** Resolves when nothing that happens to this process is the end of the instance any more. */
  ready: Promise<void>;
  /** Resolves when somebody asked the guard to stop the instance. */
  asked: Promise<void>;
  /** Its pid; null: it has not been started yet, or was killed, and the next one is about to come. */
  pid(): number | null;
  /** Called when the instance has ended: the guard exits. */
  dismiss(): void;
  /** Called when it shall start a supervisor for this instance alone; resolves when it is about to. */
  leave(): Promise<void>;
}

/** One process that is a guard. */
interface Life {
  pid: number;
  /** The lines that it has written; ends when it is gone, has taken over, or was dismissed. */
  lines: AsyncIterable<void>;
  /** The first word counts. */
  tell(word: Word): void;
}

function begin(order: Order, place: number): Life {
  const [[hear, tell], [listen, speak]] = pipes();
  let pid: number;
  try {
    const env = { ...plainEnv(), DP_SHARED: JSON.stringify(order), DP_TURN: (place * TURN).toFixed(2) };
    const stdio = ["ignore", "ignore", "ignore", listen, tell] as const;
    const child = Bun.spawn([...supervisor(), order.spec], { cwd: "/", env, stdio: [...stdio], detached: true });
    child.unref();
    pid = child.pid;
  } catch (error) {
    for (const fd of [hear, speak]) closeSync(fd);
    throw error;
  } finally {
    for (const fd of [listen, tell]) closeSync(fd);
  }
  const reader = Bun.file(hear).stream().getReader();
  let isTold = false;
  return {
    pid,
    lines: linesOf(reader, hear),
    tell(word) {
      if (isTold) return;
      isTold = true;
      try {
        writeSync(speak, `${word}\n`);
      } catch {
        // it was killed
      }
      closeSync(speak);
      if (word === "0") void reader.cancel();
    },
  };
}

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

async function* linesOf(reader: Reader, fd: number): AsyncGenerator<void> {
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const _byte of value ?? []) yield;
    }
  } finally {
    await reader.cancel();
    closeSync(fd);
  }
}

/** Calls `first` for the first line, `next` for each further one. After the last one nothing of it is open any more. */
async function hear(life: Life | null, first: () => void, next: () => void): Promise<void> {
  let lines = 0;
  for await (const _line of life?.lines ?? []) (lines++ === 0 ? first : next)();
  life?.tell("0");
}

/**
 * Starts the guard of an instance when `wanted` resolves, or the instance is left to it, and another one when it is killed or
 * could not be started. `place`: how many are before it.
 */
export function guard(order: Order, place: number, wanted: Promise<void>): Guard {
  const [ready, asked, needed] = [signal(), signal(), signal()];
  void wanted.then(needed.resolve);
  let life: Life | null = null;
  let [isOver, isLeft] = [false, false];
  const tell = (word: Word) => {
    needed.resolve();
    life?.tell(word);
  };
  const watch = async () => {
    await needed.promise;
    while (!isOver) {
      life = beginOrNone(order, place);
      if (isLeft) tell("254");
      await hear(life, ready.resolve, () => {
        // It takes over. Should it have been asked to stop, there is nothing to take over.
        if (isLeft) isOver = true;
        else asked.resolve();
      });
      life = null;
      if (!isOver) await Bun.sleep(PAUSE);
    }
  };
  const watched = watch();
  return {
    ready: ready.promise,
    asked: asked.promise,
    pid: () => life?.pid ?? null,
    dismiss() {
      isOver = true;
      tell("0");
    },
    async leave() {
      isLeft = true;
      tell("254");
      await watched;
    },
  };
}

const signal = () => Promise.withResolvers<void>();

/** As begin; null: there is no room for a process now. */
function beginOrNone(order: Order, place: number): Life | null {
  try {
    return begin(order, place);
  } catch {
    return null;
  }
}
