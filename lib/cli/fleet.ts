// Commands about many apps and servers at once: report.
import type { CAC } from "cac";
import { byKey, only, print, HIDDEN, type Options } from "./arguments.ts";
import { printJson } from "../text/say.ts";

export function declareFleetCommands(cli: CAC): void {
  cli
    .command(
      "report",
      "Show the server and all its apps on one screen; dp fleet asks servers for it",
      byKey(({ options }) => (options["look"] === undefined ? "view" : null), { isFiltered: true }),
    )
    .option("--only <apps>", HIDDEN)
    .option("--json", "As JSON")
    .option("--look", "Let dp doctor look, and keep what it found (internal)")
    .action(async (options: Options) => {
      const { renewFindings, report, reportLines } = await import("../commands/report.ts");
      if (options["look"]) return renewFindings();
      const found = await report(only(options));
      // In one line: it travels, and has an array for each minute.
      if (options["json"]) return printJson(found);
      reportLines(found, process.stdout.columns || 100).forEach(print);
    });
}
