// A package.json whose build writes a site: its bundler, the folder that it writes, and the line that builds it.
import { readCommitted } from "../../git/committed.ts";
import type { Tree } from "../../git/tree.ts";
import { readPackageManager, type PackageManager } from "./lock.ts";
import { readPackage, type Package } from "./package.ts";

/** A site that is built, as deploy.yml describes it. */
export interface BuiltSite {
  /** The shell line that installs and builds. */
  build: string;
  /** The folder that the build writes. */
  root: string;
  /** The package that writes it: "vite". */
  bundler: string;
  /** The app has a router of its own, for which every page is index.html. */
  isRouted: boolean;
}

/** Packages that write a site, those that use another one first, with the folder that they write. */
const BUNDLERS: readonly [name: string, folder: string][] = [
  ["vitepress", ".vitepress/dist"],
  ["@docusaurus/core", "build"],
  ["gatsby", "public"],
  ["astro", "dist"],
  ["@sveltejs/adapter-static", "build"],
  ["@11ty/eleventy", "_site"],
  ["react-scripts", "build"],
  ["@vue/cli-service", "dist"],
  ["@angular/cli", "dist/NAME/browser"],
  ["parcel", "dist"],
  ["parcel-bundler", "dist"],
  ["vite", "dist"],
  ["webpack", "dist"],
];

/** Packages beside a bundler whose builds are servers. */
const SERVERS =
  /^(?:next|nuxt|@sveltejs\/adapter-(?!static)[\w-]+|@astrojs\/(?:node|vercel|netlify|cloudflare)|@angular\/ssr|@remix-run\/(?:node|serve)|@react-router\/(?:node|serve))$/;

/** Routers that run in the browser. */
const ROUTERS =
  /^(?:react-router(?:-dom)?|vue-router|@tanstack\/(?:react|solid|vue)-router|@angular\/router|@solidjs\/router|wouter|preact-router)$/;
/** Bundlers that write a page for each address themselves. */
const WRITES_PAGES = ["vitepress", "@docusaurus/core", "gatsby", "astro", "@sveltejs/adapter-static", "@11ty/eleventy"];

/** Start scripts that are servers for developers. */
const DEV_SERVER =
  /^(?:(?:npx|cross-env|[A-Z_]+=\S+)\s+)*(?:vite|vitepress|vue-cli-service|react-scripts|docusaurus|gatsby|astro|eleventy|ng|parcel|webpack(?:-dev-server)?)(?:\s|$)/;

/**
 * The site that a package.json with a build script and a bundler writes; null for any other, and for one whose build is
 * a server. Throws DpError "config" for a package.json or lock file that cannot be read.
 */
export async function builtSite(tree: Tree): Promise<BuiltSite | null> {
  const pkg = await readPackage(tree);
  if (!pkg?.scripts["build"]?.trim()) return null;
  const all = { ...pkg.dependencies, ...pkg.devDependencies };
  const found = BUNDLERS.find(([name]) => name in all);
  if (found === undefined || Object.keys(all).some((name) => SERVERS.test(name))) return null;
  const manager = await readPackageManager(tree, pkg);
  const [bundler, usual] = found;
  const root = (await writtenFolder(tree, pkg, bundler)) ?? usual.replace("NAME", plainName(pkg));
  const isRouted = !WRITES_PAGES.includes(bundler) && Object.keys(all).some((name) => ROUTERS.test(name));
  return { build: buildLine(manager), root, bundler, isRouted };
}

/** Whether the start script, if there is one, is a server for developers only. */
export function startsNoServer(pkg: Package): boolean {
  const start = pkg.scripts["start"]?.trim();
  return !start || DEV_SERVER.test(start);
}

const plainName = ({ name }: Package): string => (/^[\w.-]+$/.test(name ?? "") ? name! : "app");

const CONFIG = /^(?:vite\.config|astro\.config)\.[cm]?[jt]s$/;
const OUT_DIR = /^[^/*\n]*\boutDir\s*:\s*["'](?:\.\/)?([\w.-]+(?:\/[\w.-]+)*)\/?["']/m;
const ARGUMENT = /(?:--outDir|--dist-dir|--out-dir)[ =](?:\.\/)?([\w.-]+(?:\/[\w.-]+)*)/;
const OF_VITEPRESS = /\bvitepress build +(?:\.\/)?([\w.-]+(?:\/[\w.-]+)*)/;

/** The folder that the build script or the bundler's settings name, or null. */
async function writtenFolder(tree: Tree, { scripts }: Package, bundler: string): Promise<string | null> {
  const line = scripts["build"] ?? "";
  const site = bundler === "vitepress" ? OF_VITEPRESS.exec(line)?.[1] : undefined;
  const named = site === undefined ? ARGUMENT.exec(line)?.[1] : `${site}/.vitepress/dist`;
  if (named !== undefined) return named.split("/").includes("..") ? null : named;
  const file = (await tree.list()).find(({ path, kind }) => kind === "file" && CONFIG.test(path));
  const folder = OUT_DIR.exec((file && (await readCommitted(tree, file.path))) ?? "")?.[1];
  return folder === undefined || folder.split("/").includes("..") ? null : folder;
}

/** The line that installs what is locked, and builds. */
function buildLine({ kind, name, lock }: PackageManager): string {
  const isLocked = lock !== null;
  if (kind === "npm") return `npm ${isLocked ? "ci" : "install"} && npm run build`;
  const locked = kind === "berry" ? " --immutable" : " --frozen-lockfile";
  return `${name} install${isLocked ? locked : ""} && ${name} run build`;
}
