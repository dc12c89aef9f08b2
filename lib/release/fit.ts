// Which app type fits files without a deploy.yml, and the lines for such a deploy.yml.
import type { AppType, Detected } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import type { Tree } from "../git/tree.ts";
import { healthRoute, type Route } from "../health/route.ts";

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

/** The lines of a deploy.yml that suffice for the files of an app, or null when no type recognises them. */
export async function enoughLines(
  app: string,
  tree: Tree,
  types: readonly AppType[],
): Promise<{ because: string; lines: string[] } | null> {
  const fit = await usualFit(await fitsFor(tree, types));
  if (fit === undefined) return null;
  const { path } = await healthOf(tree, fit.found);
  const more = fit.found.settings?.split("\n") ?? [];
  const lines = [`name: ${app}`, `type: ${fit.type.name}`, `healthCheck: ${path}`, ...more];
  return { because: fit.found.because, lines };
}
