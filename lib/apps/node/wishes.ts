// The versions of node and bun that a commit asks for: version files and engines.
import { readCommitted } from "../../git/committed.ts";
import type { Tree } from "../../git/tree.ts";
import type { Package } from "./package.ts";
import { inRange, parseVersionFile, type Wish } from "./version.ts";

/**
 * The conditions on node: .nvmrc or .node-version of the first folder that has one, and engines of the first package
 * that has some. Throws DpError "config".
 */
export async function readNodeWishes(folders: readonly Tree[], packages: readonly (Package | null)[]): Promise<Wish[]> {
  const engines = packages.map((pkg) => engineWish("node", pkg)).find((wishes) => wishes.length > 0) ?? [];
  return [...(await fileWish(folders)), ...engines];
}

async function fileWish(folders: readonly Tree[]): Promise<Wish[]> {
  for (const tree of folders)
    for (const path of [".nvmrc", ".node-version"]) {
      const content = await readCommitted(tree, path, "by mark");
      const wish = content === null ? null : parseVersionFile(path, content);
      if (content !== null) return wish ? [wish] : [];
    }
  return [];
}

/** The condition on node or bun in package.json's engines: none or one. Throws DpError "config". */
export function engineWish(name: "node" | "bun", pkg: Package | null): Wish[] {
  const text = pkg?.engines[name];
  if (text === undefined) return [];
  const from = `engines.${name} in package.json`;
  return [{ from, text, asked: text, fits: inRange(from, text) }];
}
