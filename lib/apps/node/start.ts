// The shell line that starts a node app's web process when deploy.yml has no command.
import { DpError } from "../../errors.ts";
import { webProcess } from "../../config/procfile.ts";
import { shellQuote } from "../../host/template.ts";
import type { Tree } from "../../git/tree.ts";
import type { Package } from "./package.ts";
import { scriptLine } from "./script.ts";

const STEMS = ["server", "index", "app"];
const NODE = [".js", ".mjs", ".cjs"];
const BUN = [".ts", ".tsx", ".jsx", ...NODE];

/** The basis for the choice of a start command. */
export interface Starting {
  tree: Tree;
  pkg: Package | null;
  /** The program for a file that is started directly. */
  runner: "node" | "bun";
  /** The folder of package.json, absolute. */
  folder: string;
  /** There is a build, so `main` may name a file that is not in the commit. */
  hasBuild: boolean;
}

/**
 * The start command: the Procfile's `web`, the `start` script, `main`, otherwise server.js, index.js or app.js. Throws
 * DpError "config", which lists what was looked for.
 */
export async function startCommand({ tree, pkg, runner, folder, hasBuild }: Starting): Promise<string> {
  const web = await webProcess(tree);
  if (web !== null) return web;
  const script = pkg && scriptLine(pkg, "start", folder);
  if (script) return script;
  const file = (await mainFile(tree, pkg, hasBuild)) ?? (await usualFile(tree, runner));
  // "./": a file name may look like an option.
  if (file !== null) return `${runner} ${/^[\w./]+$/.test(file) ? file : shellQuote(`./${file}`)}`;
  throw new DpError(
    "config",
    "deploy.yml has no command, and there is no Procfile with web, no start script or main in package.json, no server.js, index.js or app.js to start",
    { hint: 'write in package.json: "scripts": {"start": "node FILE.js"} (it must listen on process.env.PORT)' },
  );
}

async function paths(tree: Tree): Promise<Set<string>> {
  const files = (await tree.list()).filter(({ kind }) => kind === "file" || kind === "executable");
  return new Set(files.map(({ path }) => path));
}

async function mainFile(tree: Tree, pkg: Package | null, hasBuild: boolean): Promise<string | null> {
  const main = pkg?.main?.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "");
  if (!main || main.startsWith("/") || main.split("/").includes("..")) return null;
  const there = await paths(tree);
  const found = [main, `${main}.js`, `${main}.json`, `${main}/index.js`].find((path) => there.has(path));
  return found ?? (hasBuild ? main : null);
}

async function usualFile(tree: Tree, runner: "node" | "bun"): Promise<string | null> {
  const there = await paths(tree);
  const names = STEMS.flatMap((stem) => (runner === "bun" ? BUN : NODE).map((end) => stem + end));
  return names.find((name) => there.has(name)) ?? null;
}
