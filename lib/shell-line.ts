// A shell line of deploy.yml (build, hook): run by the app's user, in the app's folder, with the app's environment.
import type { Runtime } from "./app.ts";
import type { DeployConfig } from "./config.ts";
import { appEnvironment, type Origin } from "./environment.ts";
import type { Io } from "./io.ts";
import { appFolder } from "./release/folder.ts";

/** Runs the line to its end; throws DpError "command" with its last words when it fails. */
export async function runLine(
  line: string,
  origin: Origin & { config: DeployConfig },
  runtime: Runtime,
  io: Io,
): Promise<void> {
  const { user, stepTimeout: timeout } = origin.server;
  const env = await appEnvironment(origin, runtime);
  await io.run(["sh", "-c", line], { cwd: appFolder(origin.release, origin.config), env, user, timeout });
}
