// The relay as a systemd service, and the unit that repairs the server's state after boot.
import { existsSync } from "node:fs";
import { serviceDrift, setUpUnits, setUpUser, words } from "../../host/daemon/service.ts";
import type { Io } from "../../host/io.ts";
import { deployments, repositories } from "../../paths.ts";
import { program, SELF } from "../../host/self.ts";
import { systemctl } from "../../host/systemd/systemd.ts";
import { render, template } from "../../host/template.ts";
import { unitPath } from "../../host/systemd/unit.ts";

/** The system user that the relay runs as. */
export const USER = "dp-relay";
const PROCESS = "lib/fronts/relay/process.ts";

async function unitTexts(folder: string): Promise<Record<string, string>> {
  return {
    "dp-relay.service": render(await template("dp-relay.service"), {
      user: USER,
      command: words(program(PROCESS)),
      folder: unitPath(folder),
      deployments: unitPath(deployments()),
      repositories: unitPath(repositories()),
    }),
    "dp-reconcile.service": render(await template("dp-reconcile.service"), {
      command: words(SELF),
      // podman has no daemon: this process itself starts the containers, which would inherit its sandbox.
      hardening: existsSync("/usr/bin/podman") ? "" : await template("dp-reconcile.conf"),
    }),
  };
}

/** Writes units and user where they differ, and starts the relay unless it is running; returns what was changed. */
export async function setUpService(folder: string, isRunning: boolean, io: Io): Promise<string[]> {
  const changes = await setUpUser(USER, folder, io);
  return setUpUnits(await unitTexts(folder), isRunning, changes, io);
}

/** One sentence for each of its units that is not as this dp writes it. */
export const relayDrift = async (folder: string) => serviceDrift(await unitTexts(folder));

/** Restarts the relay with the program that is installed now; no connection is refused. */
export const restartService = (io: Io) => systemctl(["restart", "dp-relay.service"], io);
