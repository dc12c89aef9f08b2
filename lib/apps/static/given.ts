// Names that people gave: a file of the commit keeps its name when its content changes, whatever the name looks like.
import { basename } from "node:path";
import type { Instance } from "../../contracts/manager.ts";
import { looksHashed } from "./hashed.ts";

/** The names of a commit that look as if they had a hash; null when not all are known, for a submodule brings its own. */
export async function givenNames(instance: Instance): Promise<string[] | null> {
  const entries = await instance.committed?.();
  if (!entries || entries.some(({ kind }) => kind === "submodule")) return null;
  return [...new Set(entries.map(({ path }) => basename(path)).filter(looksHashed))];
}
