// Static sites: a folder of files, served by dp itself, without a process of the app.
import type { AppType } from "../contracts/app-type.ts";
import type { Tree } from "../git/tree.ts";
import { kindOf } from "./node/kind.ts";
import { builtSite, type BuiltSite } from "./node/site.ts";
import { siteRuntime } from "./node/site-build.ts";
import { pruneStore } from "./node/store.ts";
import { requireMade } from "./static/made.ts";
import manager from "./static/manager.ts";
import { siteIn } from "./static/settings.ts";

// Folders where people and their tools put the files to serve.
const FOLDERS = ["public", "dist", "site", "www", "html", "docs", "build", "out", "_site"];

/** The folder with an index.html, ".", or null. */
async function folderOf(tree: Tree): Promise<string | null> {
  const paths = new Set((await tree.list()).map(({ path }) => path));
  const folder = FOLDERS.find((name) => paths.has(`${name}/index.html`));
  return folder ?? (paths.has("index.html") ? "." : null);
}

const linesOf = (root: string) => `static:\n  root: ${root}`;
const linesOfBuilt = ({ build, root, isRouted }: BuiltSite) =>
  `build: ${build}\n${linesOf(root)}${isRouted ? "\n  spa: true" : ""}`;

const staticType: AppType = {
  name: "static",
  summary: "a folder of files, served by dp itself",
  manager,

  async settings(tree) {
    const built = await builtSite(tree);
    return built === null ? linesOf((await folderOf(tree)) ?? "public") : linesOfBuilt(built);
  },

  async detect(tree) {
    const kind = await kindOf(tree);
    if (kind !== null && kind !== "process")
      return {
        command: null,
        healthCheck: "/",
        settings: linesOfBuilt(kind),
        because: `${kind.bundler} and the build script in package.json`,
      };
    const root = await folderOf(tree);
    if (root === null || (await tree.list()).some(({ path }) => path === "package.json")) return null;
    return {
      command: null,
      healthCheck: "/",
      settings: linesOf(root),
      because: root === "." ? "index.html" : `${root}/index.html`,
    };
  },

  async install(place, io) {
    const runtime = await siteRuntime(place, io);
    if (runtime === null) io.info("nothing to install");
    return runtime ?? { path: [], env: {}, dependencies: null };
  },

  // A site is files alone.
  adopt: async () => ({ runtime: null }),
  inspect: requireMade,
  takesSettingsAtBuild: true,

  // Nothing is started: `dp` only shows this text.
  command: async ({ config }) => `dp serves ${siteIn(config)?.root ?? "nothing"}`,

  // Package managers that were fetched for builds.
  prune: pruneStore,
};

export default staticType;
