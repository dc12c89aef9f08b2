// The environment that builds, hooks and the app get: built up from nothing, the same for all of them.
import { basename } from "node:path";
import type { Runtime } from "../contracts/app-type.ts";
import { places, SYSTEM_PATH } from "../paths.ts";
import { settingsOf } from "./settings.ts";
import type { ServerConfig } from "../config/types.ts";

/** What the environment of a release is made of. */
export interface Origin {
  app: string;
  server: ServerConfig;
  sha: string;
  /** The release's folder. */
  release: string;
  /** The run whose settings it gets; default: the deploy that made the release. */
  run?: string | undefined;
  /** The instance's own port on 127.0.0.1, behind a front; without one the app has the public port. */
  port?: number;
}

/**
 * The variables of a release: system, then the runtime's, then the settings that the run was given, then dp's own, later ones
 * winning. Throws DpError "config" when the env file is wrong.
 */
export async function appEnvironment(
  { app, server, sha, release, run, port }: Origin,
  runtime?: Runtime,
): Promise<Record<string, string>> {
  const { home } = places(app);
  return {
    LANG: "C.UTF-8",
    ...runtime?.env,
    ...(await settingsOf(app, run ?? basename(release), server)),
    PATH: [...(runtime?.path ?? []), server.path ?? SYSTEM_PATH].join(":"),
    HOME: home,
    PORT: String(port ?? server.port),
    DP_HOST: port === undefined ? server.host : "127.0.0.1",
    DP_APP: app,
    DP_RELEASE: basename(release),
    DP_COMMIT: sha,
    GIT_REV: sha,
    DP_ENV: server.env,
  };
}
