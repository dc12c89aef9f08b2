// Names chosen by people: a file of the commit keeps its name when its content changes, whatever the name looks like.
import { basename } from "node:path";
import type { Instance } from "../../contracts/manager.ts";
import { looksHashed } from "./hashed.ts";

/** The names in a commit that look hashed; null when some are unknown, because a submodule has its own. */
export async function givenNames(instance: Instance): Promise<string[] | null> {
  const entries = await instance.committed?.();
  if (!entries || entries.some(({ kind }) => kind === "submodule")) return null;
  return [...new Set(entries.map(({ path }) => basename(path)).filter(looksHashed))];
}
