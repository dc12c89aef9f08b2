// The command that replaces dp itself: upgrade.
import type { CAC } from "cac";
import { answer, byKey, print, warn, type Options } from "./arguments.ts";
import { EXIT } from "../errors.ts";
import { report } from "../main.ts";

const NO_APPS =
  "no app on this machine: dp upgrade FOLDER installs the dp of a folder here, dp launch root@SERVER brings a server's up to it";

export function declareUpgradeCommand(cli: CAC): void {
  cli
    .command(
      "upgrade [folder]",
      "Install the dp of a folder, and bring all apps up to it; without FOLDER only the latter",
      byKey(null),
    )
    .option("--downgrade", "Install it even if it is older than the installed dp")
    .option("--json", "As JSON; without FOLDER only")
    .action(async (folder: string | undefined, options: Options) => {
      const { bringApps, handOver, install } = await import("../commands/upgrade.ts");
      if (folder !== undefined) {
        const downgrade = options["downgrade"] === true;
        if (await install(folder, { downgrade }, print)) return handOver();
        print("the units and hooks of apps are those of the newer dp: dp setup APP writes them anew");
        return EXIT.ok;
      }
      const broken = (app: string, error: unknown) => {
        warn(`${app} could not be brought up to this dp:`);
        report(error);
      };
      const { changes, code } = await bringApps(broken, warn);
      const words = ([name, list]: [string, string[]]) => `${name}: ${list.join("; ") || "nothing to do"}`;
      answer(options, changes, () => {
        const lines = Object.entries(changes).map(words);
        return lines.length > 0 || code !== EXIT.ok ? lines : [NO_APPS];
      });
      return code;
    });
}
