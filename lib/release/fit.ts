// Which app type fits files without a deploy.yml, and the lines for such a deploy.yml.
import type { AppType, Detected } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import { subtree, type Tree } from "../git/tree.ts";
import { healthRoute, type Route } from "../health/route.ts";
import { plainText } from "../text/text.ts";

/** An app type that recognises the files. */
export interface Fit {
  type: AppType;
  found: Detected;
}

/** Every type that recognises the files. */
export async function fitsFor(tree: Tree, types: readonly AppType[]): Promise<Fit[]> {
  const fits: Fit[] = [];
  for (const type of types) {
    const found = await type.detect(tree);
    if (found !== null) fits.push({ type, found });
  }
  return fits;
}

/** The default choice: the first type whose apps can run here, because a Dockerfile is often just an extra. */
export async function usualFit(fits: readonly Fit[]): Promise<Fit | undefined> {
  if (fits.length > 1) for (const fit of fits) if (await isHere(fit.type)) return fit;
  return fits[0];
}

async function isHere(type: AppType): Promise<boolean> {
  try {
    await type.requireHost?.();
    return true;
  } catch (error) {
    if (error instanceof DpError) return false;
    throw error;
  }
}

/** The path of the health check: the type's, or a route found in the code, otherwise "/". */
export async function healthOf(tree: Tree, found: Detected | null): Promise<Route | { path: string; file: null }> {
  if (found?.healthCheck !== undefined) return { path: found.healthCheck, file: null };
  return (await healthRoute(tree)) ?? { path: "/", file: null };
}

/** Lines of a deploy.yml for the files of an app. */
export interface Enough {
  /** What the files show: "requirements.txt"; null: nothing, and the lines are to be completed. */
  because: string | null;
  lines: string[];
  /** What the app still lacks to be served, one sentence each. */
  advice: readonly string[];
  /** Where several folders have an app, those: "api (requirements.txt)". */
  folders: string[];
}

/**
 * The lines of a deploy.yml that suffice for the files of an app, at the top or in the only folder with one; otherwise
 * those to complete.
 */
export async function enoughLines(app: string, tree: Tree, types: readonly AppType[]): Promise<Enough> {
  const fit = await usualFit(await fitsFor(tree, types));
  if (fit !== undefined) {
    const { because, advice = [] } = fit.found;
    return { because, lines: await linesOf(app, tree, fit), advice, folders: [] };
  }
  const inner = await innerFits(tree, types);
  const [folder, only] = inner[0] ?? [];
  if (folder === undefined || only === undefined || inner.length > 1)
    return { because: null, lines: await toComplete(app, tree), advice: [], folders: inner.map(placeText) };
  const [name, ...more] = await linesOf(app, subtree(tree, folder), only);
  const { because, advice = [] } = only.found;
  return { because: `${folder}/${because}`, lines: [name!, `root: ${folder}`, ...more], advice, folders: [] };
}

/** The value of `healthCheck` in deploy.yml. */
export const healthText = (path: string, host: string | undefined): string =>
  host === undefined ? path : `{path: ${path}, host: ${host}}`;

async function linesOf(app: string, tree: Tree, { type, found }: Fit): Promise<string[]> {
  const { path } = await healthOf(tree, found);
  const more = found.settings?.split("\n") ?? [];
  return [`name: ${app}`, `type: ${type.name}`, `healthCheck: ${healthText(path, found.host)}`, ...more];
}

/**
 * The folders at the top, and those in a folder that is no app itself, that a type recognises by more than a script that
 * lies there.
 */
export async function innerFits(tree: Tree, types: readonly AppType[], depth = 2): Promise<[string, Fit][]> {
  const tops = (await tree.list()).flatMap(({ path }) => /^(\w[\w.-]*)\//.exec(path)?.[1] ?? []);
  const found: [folder: string, fit: Fit][] = [];
  for (const folder of new Set(tops)) {
    const inner = subtree(tree, folder);
    const fit = await usualFit(await fitsFor(inner, types));
    if (fit !== undefined && !fit.found.because.endsWith(".py")) found.push([folder, fit]);
    else if (depth > 1)
      for (const [name, each] of await innerFits(inner, types, depth - 1)) found.push([`${folder}/${name}`, each]);
  }
  return found;
}

/** A folder with an app, and what shows it: "api (requirements.txt)". */
export const placeText = ([folder, { found }]: [string, Fit]): string => `${folder} (${plainText(found.because)})`;

/** For files that show no app: the type that is nearest, and a command to complete. */
async function toComplete(app: string, tree: Tree): Promise<string[]> {
  const isNode = (await tree.list()).some(({ path }) => path === "package.json");
  const { path } = await healthOf(tree, null);
  const command = isNode ? "node FILE.js" : "./start.sh";
  return [`name: ${app}`, `type: ${isNode ? "node" : "python"}`, `healthCheck: ${path}`, `command: ${command}`];
}
