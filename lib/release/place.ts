// The view of a release that an app type gets.
import { basename } from "node:path";
import type { App } from "../contracts/app.ts";
import type { Place } from "../contracts/app-type.ts";
import { commitTree, subtree } from "../git/tree.ts";
import type { DeployConfig } from "../config/types.ts";
import type { Io } from "../host/io.ts";
import { handTo } from "../host/ownership.ts";
import { appFolder } from "../host/release-folder.ts";
import { buildEnvironment, builderOf, buildPlaces } from "./builder.ts";

/** The facts behind a place. */
export interface PlaceFacts {
  app: App;
  config: DeployConfig;
  sha: string;
  /** The release's folder. */
  release: string;
  /** The run whose settings it gets; default: the deploy that made the release. */
  run?: string | undefined;
}

/** The place of a release for work as the app's own user, with that environment. */
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
    reader: server.user,
    opens: [places.shared, places.home],
    env,
    operator: server.settings,
    timeout: server.stepTimeout,
    build: server.build,
  };
}

/** The place of a release for its build: with the build user, and that user's home. */
export async function buildPlaceOf(facts: PlaceFacts, env: Record<string, string>, io: Io): Promise<Place> {
  const { app, release } = facts;
  const reader = app.server.user;
  const builder = await builderOf(app);
  const { home, tmp } = buildPlaces(app);
  await handTo(release, { maker: builder, reader }, io);
  const place = placeOf(facts, buildEnvironment(app, env, builder));
  if (builder === reader) return { ...place, opens: [release, ...place.opens] };
  return { ...place, user: builder, opens: [release, home, tmp] };
}
