// The earlier releases whose hashed assets a new site still serves: the previous one, and those that it still served.
import { basename, join, relative } from "node:path";
import type { DeployConfig } from "../../config/types.ts";
import type { Instance, Predecessor } from "../../contracts/manager.ts";
import { appFolder } from "../../host/release-folder.ts";
import { siteIn } from "./settings.ts";
import { readSite, staticFolder, type OlderTree, type Tree } from "./site.ts";

/** The served folder of a release; `root`: within the app's own folder. */
export function treeOf(release: string, config: DeployConfig, root: string): Tree {
  return { release, root: join(relative(release, appFolder(release, config)), root) };
}

/** How many releases back: a day of many pushes must not open ever more folders. */
const MOST = 5;

/** The trees whose assets stay available when an instance starts, newest first. */
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
