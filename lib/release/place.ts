// What an app type is told of the release it works on.
import { basename } from "node:path";
import type { App } from "../contracts/app.ts";
import type { Place } from "../contracts/app-type.ts";
import { commitTree, subtree } from "../git/tree.ts";
import type { DeployConfig } from "../config/types.ts";
import { appFolder } from "../host/release-folder.ts";

/** The facts that a place is made of. */
export interface PlaceFacts {
  app: App;
  config: DeployConfig;
  sha: string;
  /** The release's folder. */
  release: string;
  /** The run whose settings it gets; default: the deploy that made the release. */
  run?: string | undefined;
}

/** The place of a release, with the environment that its commands get. */
export function placeOf({ app, config, sha, release }: PlaceFacts, env: Record<string, string>): Place {
  const { name, places, server } = app;
  const whole = commitTree(places.repo, sha);
  const tree = config.root === undefined ? whole : subtree(whole, config.root);
  return {
    app: name,
    id: basename(release),
    base: places.base,
    release,
    folder: appFolder(release, config),
    config,
    tree,
    commit: config.root === undefined ? undefined : whole,
    user: server.user,
    env,
    operator: server.settings,
    timeout: server.stepTimeout,
    build: server.build,
  };
}
