// Static sites: a folder of files, served by dp itself, without a process of the app.
import type { AppType } from "../contracts/app-type.ts";
import { requireMade } from "./static/made.ts";
import manager from "./static/manager.ts";
import { siteIn } from "./static/settings.ts";

// Folders where people and their tools put the files to serve.
const FOLDERS = ["public", "dist", "site", "www", "html", "docs"];

const staticType: AppType = {
  name: "static",
  summary: "a folder of files, served by dp itself",
  manager,
  settings: "static:\n  root: public",

  async detect(tree) {
    const paths = new Set((await tree.list()).map(({ path }) => path));
    const folder = FOLDERS.find((name) => paths.has(`${name}/index.html`)) ?? ".";
    const index = folder === "." ? "index.html" : `${folder}/index.html`;
    if (!paths.has(index) || paths.has("package.json")) return null;
    return { command: null, healthCheck: "/", settings: `static:\n  root: ${folder}`, because: index };
  },

  async install(_place, io) {
    io.info("nothing to install");
    return { path: [], env: {}, dependencies: null };
  },

  inspect: requireMade,

  // Nothing is started: `dp` only shows this text.
  command: async ({ config }) => `dp serves ${siteIn(config)?.root ?? "nothing"}`,

  prune: async () => [],
};

export default staticType;
