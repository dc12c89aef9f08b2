// A shell line of deploy.yml (build, hook): run by the app's user, in the app's folder, with the app's environment.
import { basename } from "node:path";
import type { Runtime } from "../contracts/app-type.ts";
import { appEnvironment, type Origin } from "./environment.ts";
import type { Io } from "../host/io.ts";
import { appType } from "../registry.ts";
import { placeOf, type PlaceFacts } from "./place.ts";
import type { DeployConfig } from "../config/types.ts";
import { appFolder } from "../host/release-folder.ts";

/** Runs the line to its end; throws DpError "command" with its last words when it fails. */
export async function runLine(
  line: string,
  origin: Origin & { config: DeployConfig },
  runtime: Runtime,
  io: Io,
): Promise<void> {
  const { app, release, config } = origin;
  const { name, server } = app;
  const env = await appEnvironment(origin, runtime);
  const limits = { timeout: server.stepTimeout, confined: { app: name, id: basename(release), build: server.build } };
  await io.run(["sh", "-c", line], { cwd: appFolder(release, config), env, user: server.user, ...limits });
}

/** Runs a hook as its app type does: by the app's user in the release, or in a container of its image. */
export async function runHook(line: string, facts: PlaceFacts, runtime: Runtime, io: Io): Promise<void> {
  const type = await appType(facts.config.type);
  if (type.runHook) await type.runHook(line, placeOf(facts, await appEnvironment(facts, runtime)), io);
  else await runLine(line, facts, runtime, io);
}
