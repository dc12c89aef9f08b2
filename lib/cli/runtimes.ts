// The command about the versions of node and python: runtimes.
import type { CAC } from "cac";
import { answer, byKey, print, warn, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

export function declareRuntimesCommand(cli: CAC): void {
  cli
    .command(
      "runtimes [action] [name] [version]",
      "List every node and python and the apps on it, or install one",
      byKey(null),
    )
    .option("--json", "As JSON")
    .usage(
      `runtimes
  $ dp runtimes install node 22           for all apps; a range as well: ">=20 <23"
  $ dp runtimes install python 3.12`,
    )
    .action(
      async (action: string | undefined, name: string | undefined, version: string | undefined, options: Options) => {
        const { installRuntime, runtimeLines, runtimes } = await import("../commands/runtimes.ts");
        if (action === undefined || action === "list") {
          const rows = await runtimes();
          return answer(options, rows, () => runtimeLines(rows));
        }
        if (action !== "install")
          throw new DpError("usage", `dp runtimes lists or installs, not ${JSON.stringify(action)}`, {
            hint: "dp runtimes --help",
            ...didYouMean(action, ["list", "install"]),
          });
        const { makeIo } = await import("../host/io.ts");
        const info = options["json"] ? warn : print;
        const io = makeIo({ info, warn, output: (line) => warn(`| ${line}`) });
        const found = await installRuntime(name, version, io);
        return answer(options, found, () => [`${found.name} ${found.version} is there for all apps: ${found.program}`]);
      },
    );
}
