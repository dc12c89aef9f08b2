// Whose hashed assets a new site goes on to serve: those of the release before, and what that one still served.
import { basename, join, relative } from "node:path";
import { factOf, load } from "../../pipeline/context.ts";
import type { DeployConfig } from "../../config/config.ts";
import type { StaticSite } from "../../config/static-schema.ts";
import { DpError } from "../../errors.ts";
import { fact } from "../../pipeline/facts.ts";
import { appFolder } from "../../release/folder.ts";
import { contextOf, liveId, previousId, treeOf as filesOf } from "../../release/history.ts";
import { places } from "../../paths.ts";
import { readSite, staticFolder, type OlderTree, type Tree } from "./site.ts";

/** The folder of a release that is served. */
export function treeOf(release: string, config: DeployConfig & { static: StaticSite }): Tree {
  return { release, root: join(relative(release, appFolder(release, config)), config.static.root) };
}

/** How many releases back: more than a day of pushes must not open folders without end. */
const MOST = 5;

/** The trees whose assets stay reachable when release `id` of an app starts, newest first. */
export async function olderTrees(app: string, id: string, keepAssets: number, now = Date.now()): Promise<OlderTree[]> {
  if (keepAssets === 0) return [];
  const live = await liveId(app);
  const before = live === id ? await previousId(app) : live;
  if (before === null || before === id) return [];
  const until = new Date(now + keepAssets).toISOString();
  const tree = await treeOfRun(app, before);
  const inherited = (await readSite(staticFolder(), { app, id: before }))?.older ?? [];
  const all = [...(tree ? [{ ...tree, until }] : []), ...inherited];
  return all.filter((each) => Date.parse(each.until) > now && basename(each.release) !== id).slice(0, MOST);
}

async function treeOfRun(app: string, id: string): Promise<Tree | null> {
  try {
    const run = await load(contextOf(app, id));
    const config = factOf(run, "config", fact.config);
    const site = config.static;
    return site === undefined
      ? null
      : treeOf(join(places(app).releases, filesOf(app, id)), { ...config, static: site });
  } catch (error) {
    if (error instanceof DpError) return null; // its run file is gone or damaged: then its assets are, too
    throw error;
  }
}
