// yarn 1 in a workspace: --frozen-lockfile does not check whether the lock file covers all members.
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { parsePackage, type Package } from "./package.ts";
import { isMember } from "./workspace.ts";

// Dependencies from outside a registry, or from another package of the workspace.
const ELSEWHERE = /^(?:file|link|portal|workspace):/;

/** The patterns of a yarn.lock: `ms@2.1.3`, `@scope/name@^1.0.0`. */
function patternsOf(lock: string): Set<string> {
  const heads = lock.split("\n").filter((line) => /^[^\s#].*:\s*$/.test(line));
  return new Set(
    heads.flatMap((line) => line.replace(/:\s*$/, "").split(", ")).map((text) => text.replace(/^"|"$/g, "")),
  );
}

/** Throws DpError "config" when yarn.lock lacks a dependency of a workspace package. */
export async function requireLocked(tree: Tree, top: Package, lock: string): Promise<void> {
  const packages = new Map<string, Package>([["package.json", top]]);
  for (const { path } of await tree.list()) {
    if (!path.endsWith("/package.json") || !isMember(path.slice(0, -"/package.json".length), top.workspaces)) continue;
    packages.set(path, parsePackage((await tree.read(path)) ?? "{}", path));
  }
  const names = new Set([...packages.values()].map(({ name }) => name));
  const there = patternsOf(lock);
  // A resolution replaces the requested version.
  const isFree = (name: string) => names.has(name) || top.json["resolutions"] !== undefined;
  for (const [path, { dependencies, devDependencies }] of packages)
    for (const [name, range] of Object.entries({ ...devDependencies, ...dependencies })) {
      if (isFree(name) || ELSEWHERE.test(range) || there.has(`${name}@${range}`)) continue;
      throw new DpError("config", `yarn.lock does not have ${name}@${range}, which ${path} asks for`, {
        hint: "yarn install, commit yarn.lock, push",
      });
    }
}
