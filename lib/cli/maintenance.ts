// The command that closes an app to its clients: maintenance.
import type { CAC } from "cac";
import { answer, byKey, warn, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";

export function declareMaintenanceCommand(cli: CAC): void {
  cli
    .command(
      "maintenance <app> [state]",
      "Answer an app's clients with a page and 503, or no longer: on, off; without it, show whether",
      byKey(({ words: [, state] }) => (state === undefined ? "view" : "operate")),
    )
    .option("--json", "As JSON")
    .usage(
      `maintenance <app>                  whether it is closed, by whom, since when
  $ dp maintenance <app> on               with maintenance.html of the live release, if it has one
  $ dp maintenance <app> off`,
    )
    .action(async (app: string, state: string | undefined, options: Options) => {
      const commands = await import("../commands/maintenance.ts");
      if (state === "on") {
        const now = await commands.maintenanceOn(app, warn);
        return answer(options, now, () => commands.maintenanceLines(now));
      }
      if (state === "off") {
        const wasOn = await commands.maintenanceOff(app);
        const line = wasOn ? `${app} serves its clients again` : `${app} was not in maintenance`;
        return answer(options, await commands.maintenance(app), () => [line]);
      }
      if (state !== undefined)
        throw new DpError("usage", `maintenance is on or off, not ${JSON.stringify(state)}`, {
          hint: `dp maintenance ${app} on`,
        });
      const now = await commands.maintenance(app);
      answer(options, now, () => commands.maintenanceLines(now));
    });
}
