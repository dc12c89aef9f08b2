// A shell line of deploy.yml (build, hook): run in the app's folder, with the app's environment.
import type { Place, Runtime } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import { hintForSetting, settingWanted } from "../health/hints.ts";
import { handTo } from "../host/ownership.ts";
import { appEnvironment } from "./environment.ts";
import type { Io } from "../host/io.ts";
import { appType } from "../registry.ts";
import { placeOf, type PlaceFacts } from "./place.ts";

/**
 * Runs the line to its end; throws DpError "command" with its last lines of output when it fails, for the reason "setting"
 * when these name one that the app does not have.
 */
export async function runLine(line: string, place: Place, io: Io): Promise<void> {
  const { user, timeout, env, folder: cwd } = place;
  try {
    await io.run(["sh", "-c", line], { cwd, env, user, timeout, confined: place });
  } catch (error) {
    throw wanting(error, place);
  }
}

function wanting(error: unknown, { app, env }: Place): unknown {
  if (!(error instanceof DpError) || error.exit !== "command" || error.hint !== undefined) return error;
  const { message, lines } = error;
  const setting = settingWanted(lines);
  if (setting === null || setting in env) return error;
  return new DpError("command", message, {
    lines,
    hint: hintForSetting(setting, app),
    reason: "setting",
    cause: error,
  });
}

/**
 * Runs a hook in the way of its app type: as the app's user in the release, or in a container of its image. A hook may
 * write into the release only while that is `unfinished`, before it is live.
 */
export async function runHook(
  line: string,
  facts: PlaceFacts,
  runtime: Runtime,
  io: Io,
  options: { unfinished: boolean },
): Promise<void> {
  const type = await appType(facts.config.type);
  const place = placeOf(facts, await appEnvironment(facts, runtime));
  if (type.runHook) return type.runHook(line, place, io);
  const { places, server } = facts.app;
  if (options.unfinished) await handTo(facts.release, { maker: server.user, reader: server.user }, io);
  const { shared, home } = places;
  const opens = options.unfinished ? [facts.release, shared, home] : [shared, home];
  await runLine(line, { ...place, opens }, io);
}
