// The command of the look: watch.
import type { CAC } from "cac";
import { answer, byKey, warn, type Options } from "./arguments.ts";

export function declareWatchCommand(cli: CAC): void {
  cli
    .command("watch", "Look at all apps once, as a timer does every 20 s, and tell what is news", byKey(null))
    .option("--json", "What was seen, as JSON")
    .action(async (options: Options) => {
      const { watch, watchLines } = await import("../commands/watch.ts");
      const seen = await watch(warn);
      answer(options, seen, () => watchLines(seen));
    });
}
