// The entries of a commit, as git lists them.
import { DpError } from "../errors.ts";
import { git } from "./git.ts";

/** A size limit in bytes that is enough for the listing of any commit. */
export const LISTING = 256 * 1024 * 1024;

export interface TreeEntry {
  /** Relative to the root, with "/" between folders. */
  path: string;
  kind: "file" | "executable" | "symlink" | "submodule";
}

const KIND: Record<string, TreeEntry["kind"]> = {
  "100644": "file",
  "100664": "file",
  "100755": "executable",
  "120000": "symlink",
  "160000": "submodule",
};

/** An entry of a commit; `object` is git's name for its content. */
export interface CommitEntry extends TreeEntry {
  object: string;
}

// The commit that was listed last: every step of a deploy reads the same one, and a commit never changes.
let listed: { name: string; entries: Promise<readonly CommitEntry[]>; signal: AbortSignal | undefined } | undefined;

/** Whether git has been asked for the entries of that commit. */
export const isListed = (repo: string, sha: string): boolean => listed?.name === `${sha} ${repo}`;

/** Every entry of a commit in a bare repository, except folders. */
export function entriesOf(repo: string, sha: string, signal?: AbortSignal): Promise<readonly CommitEntry[]> {
  const name = `${sha} ${repo}`;
  // Whoever asked first may have called it off.
  if (listed?.name === name && listed.signal?.aborted !== true) return listed.entries;
  const entries = listCommit(repo, sha, signal);
  listed = { name, entries, signal };
  entries.catch(() => {
    if (listed?.entries === entries) listed = undefined;
  });
  return entries;
}

async function listCommit(repo: string, sha: string, signal?: AbortSignal): Promise<readonly CommitEntry[]> {
  return parseListing((await git(repo, [...LIST, sha], { keep: LISTING, ...(signal ? { signal } : {}) })).text);
}

/**
 * The git command whose output `parseListing` reads; the name of a commit follows. Without sizes: for those git looks up
 * every object.
 */
export const LIST = ["ls-tree", "-r", "-z", "--full-tree"];

// What a folder cannot contain: a path with such a part would lead out of it.
const STRAY = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** Parses the entries in git's output. Throws DpError "config" for a path that leads out of the commit's folder. */
export function parseListing(text: string): CommitEntry[] {
  const entries: CommitEntry[] = [];
  for (const line of text.split("\0")) {
    // <mode> SP <type> SP <object> TAB <path>
    const match = /^(\d+) \w+ ([0-9a-f]+)\t([\s\S]+)$/.exec(line);
    if (!match) continue;
    const [, mode = "", object = "", path = ""] = match;
    if (STRAY.test(path)) throw new DpError("config", `${JSON.stringify(path)}: not a path inside of a repository`);
    entries.push({ path, kind: KIND[mode] ?? "file", object });
  }
  return entries;
}
