// A workspace of uv: the lock file at its top counts for an app in one of its folders.
import * as v from "valibot";
import type { Place } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { subtree } from "../../git/tree.ts";
import { parseToml } from "./pyproject.ts";

const list = v.optional(v.array(v.string()), []);
const schema = v.object({
  tool: v.object({ uv: v.object({ workspace: v.object({ members: list, exclude: list }) }) }),
});

/** The lock of a workspace, and the pyproject.toml that it was made from. */
export interface UvWorkspace {
  lock: string;
  pyproject: string;
}

/** The nearest workspace above an app's folder that names it as a member and has a lock file, or null. */
export async function findUvWorkspace({
  config,
  commit,
}: Pick<Place, "config" | "commit">): Promise<UvWorkspace | null> {
  const parts = config.root?.split("/") ?? [];
  if (commit === undefined) return null;
  for (let depth = parts.length - 1; depth >= 0; depth--) {
    const above = depth === 0 ? commit : subtree(commit, parts.slice(0, depth).join("/"));
    const pyproject = await readCommitted(above, "pyproject.toml");
    const lock = await readCommitted(above, "uv.lock");
    if (pyproject === null || lock === null) continue;
    const read = v.safeParse(schema, parseToml("pyproject.toml", pyproject));
    if (!read.success) continue;
    const { members, exclude } = read.output.tool.uv.workspace;
    const member = parts.slice(depth).join("/");
    const fits = (pattern: string) => new Bun.Glob(pattern.replace(/\/+$/, "")).match(member);
    if (members.some(fits) && !exclude.some(fits)) return { lock, pyproject };
  }
  return null;
}
