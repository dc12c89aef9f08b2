// Workspaces: which one an app in a subfolder belongs to, and where its modules are then installed.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import { subtree, type Tree } from "../../git/tree.ts";
import { LOCKS } from "./lock.ts";
import { readPackage, type Package } from "./package.ts";

/** A workspace that the app's folder is a member of. */
export interface Workspace {
  /** Its folder, relative to the top of the commit; "" is the top. */
  path: string;
  tree: Tree;
  pkg: Package | null;
}

/**
 * The workspace whose lock file counts: the nearest one above the app's folder that names it as a member. Null when
 * there is none, or when the app's folder has a lock file and the workspace has none for it. Throws DpError "config".
 */
export async function findWorkspace({
  tree,
  config,
  commit,
}: Pick<Place, "tree" | "config" | "commit">): Promise<Workspace | null> {
  const parts = config.root?.split("/") ?? [];
  if (commit === undefined) return null;
  for (let depth = parts.length - 1; depth >= 0; depth--) {
    const path = parts.slice(0, depth).join("/");
    const above = path === "" ? commit : subtree(commit, path);
    const member = parts.slice(depth).join("/");
    const pkg = await readPackage(above);
    if (!isMember(member, [...(pkg?.workspaces ?? []), ...(await pnpmPackages(above))])) continue;
    const isAlone = (await hasLock(tree)) && !(await locks(above, member));
    return isAlone ? null : { path, tree: above, pkg };
  }
  return null;
}

/** The folder patterns in pnpm-workspace.yaml; none without the file. Throws DpError "config". */
export async function pnpmPackages(tree: Tree): Promise<string[]> {
  const text = await tree.read("pnpm-workspace.yaml");
  if (text === null) return [];
  try {
    const { packages } = (Bun.YAML.parse(text) ?? {}) as { packages?: unknown };
    return Array.isArray(packages) ? packages.filter((entry) => typeof entry === "string") : [];
  } catch (cause) {
    throw new DpError("config", `pnpm-workspace.yaml: not valid YAML (${(cause as Error).message})`, { cause });
  }
}

/** Whether a folder matches one of the patterns (`apps/*`), and none of those that begin with "!". */
export function isMember(folder: string, patterns: readonly string[]): boolean {
  const fits = (pattern: string) => new Bun.Glob(pattern.replace(/^\.\//, "").replace(/\/+$/, "")).match(folder);
  const [out, into] = [true, false].map((isNot) => patterns.filter((pattern) => pattern.startsWith("!") === isNot));
  return into!.some(fits) && !out!.some((pattern) => fits(pattern.slice(1)));
}

async function hasLock(tree: Tree): Promise<boolean> {
  const paths = new Set((await tree.list()).map(({ path }) => path));
  return LOCKS.some(([path]) => paths.has(path));
}

// pnpm can give each member its own lock file; the one at the top then names no members.
async function locks(tree: Tree, member: string): Promise<boolean> {
  const text = await tree.read("pnpm-lock.yaml");
  if (text === null) return hasLock(tree);
  return new RegExp(`^ {2}(['"]?)${RegExp.escape(member)}\\1:`, "m").test(text);
}

/** The place where an app's modules are installed: its own, or that of its workspace. */
export function installPlace(place: Place, workspace: Workspace | null): Place {
  if (workspace === null) return place;
  return { ...place, folder: join(place.release, workspace.path), tree: workspace.tree };
}
