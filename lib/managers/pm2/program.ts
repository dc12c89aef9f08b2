// pm2's command: found on the server's PATH, run as the app's user.
import { dirname } from "node:path";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { places, SYSTEM_PATH } from "../../paths.ts";
import { tail } from "../../host/process/output.ts";
import type { Result } from "../../host/run.ts";
import { plainText } from "../../text/text.ts";
import { homeOf, ownerOf } from "./home.ts";

const TIMEOUT = 120_000;

/** Why pm2 cannot be run with that PATH, or null. */
export function missing(path: string = SYSTEM_PATH): string | null {
  const where = `${path}; name its folder in path: of config.yml, or`;
  if (Bun.which("node", { PATH: path }) === null) return `there is no node in ${where} apt install nodejs`;
  if (Bun.which("pm2", { PATH: path }) === null) return `there is no pm2 in ${where} npm install --global pm2`;
  return null;
}

/** The absolute path of pm2. Throws DpError "host" when pm2 or node is missing. */
export function pm2Path(path: string = SYSTEM_PATH): string {
  const why = missing(path);
  if (why) throw new DpError("host", `manager pm2: ${why}`);
  return Bun.which("pm2", { PATH: path })!;
}

/** The whole environment of pm2 and its daemon. pm2's own settings: SIGTERM first, no banner, no check for updates. */
export function pm2Environment(app: string, path: string = SYSTEM_PATH): Record<string, string> {
  return {
    // The node beside pm2 belongs to it: the daemon and the workers of a cluster use it, too.
    PATH: `${dirname(pm2Path(path))}:${path}`,
    HOME: places(app).home,
    LANG: "C.UTF-8",
    PM2_HOME: homeOf(app).folder,
    PM2_KILL_SIGNAL: "SIGTERM",
    PM2_DISCRETE_MODE: "true",
    PM2_NO_INTERACTION: "true",
    NO_COLOR: "1",
  };
}

/** Runs pm2 to its end. Throws DpError "command" with its output. */
export async function runPm2(app: string, argv: readonly string[], path: string | undefined, io: Io): Promise<Result> {
  const command = ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh", pm2Path(path), ...argv];
  const env = pm2Environment(app, path);
  const options = { cwd: "/", env, user: ownerOf(app).user, quiet: true, timeout: TIMEOUT, check: false };
  const result = await io.run(command, options);
  if (result.code === 0 && !result.timedOut) return result;
  const how = result.timedOut ? `did not end within ${TIMEOUT / 1000} s` : `exited with code ${result.code}`;
  throw new DpError("command", `pm2 ${argv.join(" ")} ${how}`, { lines: tail(result.text, 10).map(plainText) });
}
