// Reads a definition file from the commit. A symbolic link is refused.
import { DpError } from "../errors.ts";
import type { Reading, Tree } from "./tree.ts";

/**
 * The text of a file in the commit, or null when there is none. Throws DpError "config" when the file is a symbolic link:
 * an installer could read anything through it.
 */
export async function readCommitted(tree: Tree, path: string, how?: Reading): Promise<string | null> {
  const text = await tree.read(path, how);
  if (text !== null) return text;
  const entry = (await tree.list()).find((candidate) => candidate.path === path);
  if (!entry) return null;
  throw new DpError(
    "config",
    `${path}: a ${entry.kind === "symlink" ? "symbolic link" : entry.kind}, but dp reads only regular files`,
    {
      hint: `commit ${path} as a regular file`,
    },
  );
}
