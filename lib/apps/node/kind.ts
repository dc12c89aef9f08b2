// What a commit with a package.json is: a process to start, a site to build, or neither that its files show.
import type { Place } from "../../contracts/app-type.ts";
import { webProcess } from "../../config/procfile.ts";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readPackage } from "./package.ts";
import { readProject } from "./project.ts";
import { builtSite, startsNoServer, type BuiltSite } from "./site.ts";
import { startCommand } from "./start.ts";

// A Python app may well have a package.json for its assets.
const OF_PYTHON = ["uv.lock", "requirements.txt", "pyproject.toml", "Pipfile", "manage.py"];

/** "process", the site, or null for a commit without a package.json and for one that shows neither. */
export async function kindOf(tree: Tree): Promise<"process" | BuiltSite | null> {
  const paths = new Set((await tree.list()).map(({ path }) => path));
  if (!paths.has("package.json") || OF_PYTHON.some((path) => paths.has(path))) return null;
  try {
    const site = await siteOf(tree, paths);
    return site ?? ((await canStart(tree)) ? "process" : null);
  } catch (error) {
    if (error instanceof DpError) return null;
    throw error;
  }
}

// A start script may be a server for developers, and the index.js of a site's sources is no program.
async function siteOf(tree: Tree, paths: ReadonlySet<string>): Promise<BuiltSite | null> {
  const site = await builtSite(tree);
  const pkg = await readPackage(tree);
  if (site === null || pkg === null || !startsNoServer(pkg) || (await webProcess(tree)) !== null) return null;
  const isPage = paths.has("index.html") && ![...paths].some((path) => /^server\.[cm]?[jt]s$/.test(path));
  return isPage || pkg.scripts["start"]?.trim() || !(await canStart(tree)) ? site : null;
}

/** Whether the files show how the app starts. */
async function canStart(tree: Tree): Promise<boolean> {
  const config = { name: "app", type: "node" } as Place["config"];
  try {
    const { pkg, isBunApp } = await readProject({ tree, config });
    await startCommand({ tree, pkg, runner: isBunApp ? "bun" : "node", folder: "/", hasBuild: false });
    return true;
  } catch (error) {
    if (error instanceof DpError) return false;
    throw error;
  }
}
