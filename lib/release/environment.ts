// The environment of builds, hooks and the app: built up from nothing, the same for all of them.
import { basename } from "node:path";
import type { App } from "../contracts/app.ts";
import type { Runtime } from "../contracts/app-type.ts";
import { SYSTEM_PATH } from "../paths.ts";
import { settingsOf } from "./settings.ts";

/** The sources of a release's environment. */
export interface Origin {
  app: App;
  sha: string;
  /** The release's folder. */
  release: string;
  /** The run whose settings it gets; default: the deploy that made the release. */
  run?: string | undefined;
  /** The instance's own port on 127.0.0.1, behind a front; without it the app has the public port. */
  port?: number;
}

/**
 * The variables of a release: system, runtime, the run's settings, dp's own; later ones win. Throws DpError "config"
 * when the env file is wrong.
 */
export async function appEnvironment(
  { app, sha, release, run, port }: Origin,
  runtime?: Runtime,
): Promise<Record<string, string>> {
  const { server, places } = app;
  return {
    LANG: "C.UTF-8",
    ...runtime?.env,
    ...(await settingsOf(app, run ?? basename(release))),
    PATH: [...(runtime?.path ?? []), server.path ?? SYSTEM_PATH].join(":"),
    HOME: places.home,
    PORT: String(port ?? server.port),
    DP_HOST: port === undefined ? server.host : "127.0.0.1",
    DP_APP: app.name,
    DP_RELEASE: basename(release),
    DP_COMMIT: sha,
    GIT_REV: sha,
    DP_ENV: server.env,
  };
}
