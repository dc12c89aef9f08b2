// Whose hashed assets a new site goes on to serve: those of the release before, and what that one still served.
import { basename, join, relative } from "node:path";
import type { DeployConfig } from "../../config/types.ts";
import type { Instance, Predecessor } from "../../contracts/manager.ts";
import { appFolder } from "../../host/release-folder.ts";
import { siteIn } from "./settings.ts";
import { readSite, staticFolder, type OlderTree, type Tree } from "./site.ts";

/** The folder of a release that is served; `root`: within the app's own. */
export function treeOf(release: string, config: DeployConfig, root: string): Tree {
  return { release, root: join(relative(release, appFolder(release, config)), root) };
}

/** How many releases back: more than a day of pushes must not open folders without end. */
const MOST = 5;

/** The trees whose assets stay reachable when an instance starts, newest first. */
export async function olderTrees(instance: Instance, keepAssets: number, now = Date.now()): Promise<OlderTree[]> {
  const before = keepAssets === 0 ? null : ((await instance.predecessor?.()) ?? null);
  if (before === null) return [];
  const until = new Date(now + keepAssets).toISOString();
  const tree = treeBefore(before);
  const inherited = (await readSite(staticFolder(), { app: instance.app, id: before.id }))?.older ?? [];
  const all = [...(tree ? [{ ...tree, until }] : []), ...inherited];
  return all.filter((each) => Date.parse(each.until) > now && basename(each.release) !== instance.id).slice(0, MOST);
}

function treeBefore({ folder, config }: Predecessor): Tree | null {
  const site = config === null ? undefined : siteIn(config);
  return config === null || site === undefined ? null : treeOf(folder, config, site.root);
}
