// Looks for a secret where every user of a machine can see it: in the arguments of all processes, again and again.
import { readFileSync } from "node:fs";

const PAUSE = 10;

/** Begins to look for a text; `stop` answers the programs in whose arguments it was seen. It may miss what is quick. */
export function watchArguments(text: string): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  let isOver = false;
  const looking = (async () => {
    do {
      for (const pid of new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })) {
        const line = argumentsOf(pid);
        if (line.includes(text)) seen.add(line.split("\0", 1)[0]!);
      }
      await Bun.sleep(PAUSE);
    } while (!isOver);
  })();
  return {
    async stop() {
      isOver = true;
      await looking;
      return [...seen];
    },
  };
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // it has gone meanwhile
  }
}
