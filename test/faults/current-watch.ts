// Looks at `current` all the time, in a process of its own: at no moment is there no link, or one that leads nowhere.
import { readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox } from "../support/sandbox.ts";

/** What the watch saw. */
export interface Sight {
  looks: number;
  /** How often there was no link, or no folder where it leads. */
  missing: number;
  /** How many releases it has named, one after the other. */
  changes: number;
}

export interface CurrentWatch {
  /** Ends the watch; the second time it answers the same. */
  stop(): Promise<Sight>;
}

/** Milliseconds between two looks: half of them are spent on the looks, were there no pause. */
const PAUSE = 0.5;

/** Starts to watch the `current` of a sandbox, which must be there already. */
export function watchCurrent(box: Sandbox): CurrentWatch {
  const argv = ["nice", "-n", "10", process.execPath, import.meta.path, join(box.base, "current")];
  const child = Bun.spawn(argv, { env: { PATH: box.env["PATH"]! }, stdin: "pipe", stdout: "pipe" });
  const said = child.stdout.text();
  return {
    async stop() {
      child.stdin.end();
      return JSON.parse(await said) as Sight;
    },
  };
}

async function main(link: string): Promise<void> {
  const seen: Sight = { looks: 0, missing: 0, changes: -1 };
  let [last, isOver] = ["", false];
  void Bun.stdin.text().then(() => (isOver = true));
  while (!isOver) {
    for (let times = 0; times < 50; times++) {
      seen.looks++;
      try {
        const to = readlinkSync(link);
        if (to !== last) seen.changes++;
        last = to;
        if (!statSync(link).isDirectory()) seen.missing++;
      } catch {
        seen.missing++;
      }
      Bun.sleepSync(PAUSE);
    }
    await Bun.sleep(0); // the end of stdin is seen here
  }
  console.log(JSON.stringify(seen));
}

if (import.meta.main) await main(process.argv[2]!);
