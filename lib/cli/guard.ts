// The commands about what stands before an app: maintenance auth.
import type { CAC } from "cac";
import { declareAuthCommand } from "./auth.ts";
import { declareMaintenanceCommand } from "./maintenance.ts";

export function declareGuardCommands(cli: CAC): void {
  declareMaintenanceCommand(cli);
  declareAuthCommand(cli);
}
