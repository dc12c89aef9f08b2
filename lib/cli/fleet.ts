// Commands about many apps and servers at once: report fleet.
import type { CAC } from "cac";
import { byKey, only, print, HIDDEN, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";
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
      const { printReport, renewFindings, report } = await import("../commands/report.ts");
      if (options["look"]) return renewFindings();
      const found = await report(only(options));
      // In one line: it travels, and has an array for each minute.
      if (options["json"]) return printJson(found);
      printReport(found);
    });

  cli
    .command(
      "fleet [action] [name] [address]",
      "Show all apps of all your servers, asked by ssh, what is wrong first",
      byKey(null),
    )
    .option("--check", "Exit with code 7 when something is down, unknown or failed")
    .option("--watch", "Ask again and again; q ends it")
    .option("--json", "As JSON")
    .usage("fleet [--check | --watch | --json], or: fleet add NAME [USER@]HOST[:PORT], or: fleet remove NAME")
    .action(
      async (action: string | undefined, name: string | undefined, address: string | undefined, options: Options) => {
        const fleet = await import("../commands/fleet.ts");
        if (action === "add") return print(await fleet.add(name, address));
        if (action === "remove" && address === undefined) return print(await fleet.remove(name));
        if (action !== undefined)
          throw new DpError("usage", `dp fleet does not know ${JSON.stringify(action)}`, { hint: "dp fleet --help" });
        if (options["watch"]) return fleet.watchInTerminal();
        const found = await fleet.fleetNow();
        if (options["json"]) printJson(found);
        else fleet.printFleet(found);
        return options["check"] ? fleet.checkCode(found) : undefined;
      },
    );
}
