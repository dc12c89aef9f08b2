// The guard of an instance whose supervisor has many: a shell that outlives the supervisor, and starts another one for this
// instance when it was killed. To the rest of dp it is the instance's supervisor: it is found by the spec, and sent SIGTERM.
import { closeSync, writeSync } from "node:fs";
import { pipe } from "../process/libc.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";

/** How long to wait before a guard that was killed is replaced, in ms. */
const PAUSE = 200;

/** What guards an instance. */
export interface Guard {
  /** Resolves when nothing that happens to this process is the end of the instance any more. */
  ready: Promise<void>;
  /** Resolves when somebody asked the guard to stop the instance. */
  asked: Promise<void>;
  /** Called when the instance has ended: the guard exits. */
  dismiss(): void;
}

/** One process that is a guard. */
interface Life {
  /** The lines that it has written; ends when it is gone. */
  lines: AsyncIterable<void>;
  dismiss(): void;
}

function begin(spec: string): Life {
  const [hear, tell] = pipe();
  const [listen, speak] = pipe();
  try {
    const env = { ...plainEnv(), DP_SHARED: "1" };
    const stdio = ["ignore", "ignore", "ignore", listen, tell] as const;
    Bun.spawn([...supervisor(), spec], { cwd: "/", env, stdio: [...stdio], detached: true }).unref();
  } catch (error) {
    for (const fd of [hear, speak]) closeSync(fd);
    throw error;
  } finally {
    for (const fd of [listen, tell]) closeSync(fd);
  }
  const reader = Bun.file(hear).stream().getReader();
  const lines = async function* () {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const _byte of value) yield;
    }
  };
  const dismiss = () => {
    try {
      writeSync(speak, "0\n");
    } catch {
      // it was killed
    }
    closeSync(speak);
    void reader.cancel().finally(() => closeSync(hear));
  };
  return { lines: lines(), dismiss };
}

/** Starts the guard of a spec, and another one when it is killed or could not be started. */
export function guard(spec: string): Guard {
  const [ready, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let life = beginOrNone(spec);
  let isOver = false;
  const watch = async () => {
    while (!isOver) {
      let lines = 0;
      for await (const _line of life?.lines ?? []) (lines++ === 0 ? ready : asked).resolve();
      if (isOver) return;
      life?.dismiss();
      life = null;
      await Bun.sleep(PAUSE);
      if (!isOver) life = beginOrNone(spec);
    }
  };
  void watch();
  return {
    ready: ready.promise,
    asked: asked.promise,
    dismiss() {
      isOver = true;
      life?.dismiss();
    },
  };
}

/** As begin; null: there is no room for a process now. */
function beginOrNone(spec: string): Life | null {
  try {
    return begin(spec);
  } catch {
    return null;
  }
}
