// A definition file of the commit, which must not hide behind a link.
import { DpError } from "../errors.ts";
import type { Reading, Tree } from "./tree.ts";

/**
 * The text of a file of the commit, or null when there is none. Throws DpError "config" when it is a symbolic
 * link: what an installer reads through it could not be known.
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
