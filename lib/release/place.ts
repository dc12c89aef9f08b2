// What an app type is told of the release it works on.
import { basename } from "node:path";
import type { Place } from "../contracts/app-type.ts";
import { places } from "../paths.ts";
import { commitTree, subtree } from "../git/tree.ts";
import type { DeployConfig, ServerConfig } from "../config/types.ts";
import { appFolder } from "../host/release-folder.ts";

/** The facts that a place is made of. */
export interface PlaceFacts {
  app: string;
  server: ServerConfig;
  config: DeployConfig;
  sha: string;
  repo: string;
  /** The release's folder. */
  release: string;
  /** The run whose settings it gets; default: the deploy that made the release. */
  run?: string | undefined;
}

/** The place of a release, with the environment that its commands get. */
export function placeOf({ app, server, config, sha, repo, release }: PlaceFacts, env: Record<string, string>): Place {
  const { base } = places(app);
  const whole = commitTree(repo, sha);
  const tree = config.root === undefined ? whole : subtree(whole, config.root);
  return {
    app,
    id: basename(release),
    base,
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
