// Submodules of a commit: found in its tree and .gitmodules, fetched and laid out as the app's user.
import { join } from "node:path";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { tail } from "../host/process/output.ts";
import { fetchLfs } from "./lfs.ts";
import { fetchable, NO_FILTERS, userSource, type Fetcher, type Source } from "./source.ts";

export interface Submodule {
  /** Relative to the root of the repository. */
  path: string;
  sha: string;
  /** The address of its repository; null when none is given, or dp does not fetch from it. */
  url: string | null;
  /** The url in .gitmodules; null when it has none. */
  named: string | null;
}

/** The submodules of a commit. */
export async function submodulesOf({ git, sha, url, list }: Source): Promise<Submodule[]> {
  const found = (await list()).filter(({ kind }) => kind === "submodule");
  if (found.length === 0) return [];
  const links = found.map(({ path, object }) => ({ path, sha: object }));
  const [urls, base] = await Promise.all([urlsOf(git, sha), url()]);
  return links.map((link) => {
    const named = urls.get(link.path) ?? null;
    return { ...link, named, url: named === null ? null : fetchable(named, base) };
  });
}

/** Path -> url from .gitmodules, without the files that it may include. An error in the file shows as a missing url. */
async function urlsOf(git: Source["git"], sha: string): Promise<Map<string, string>> {
  const argv = [
    "config",
    "--no-includes",
    "--blob",
    `${sha}:.gitmodules`,
    "-z",
    "--get-regexp",
    "^submodule\\..*\\.(path|url)$",
  ];
  const { code, text } = await git(argv, { check: false });
  const values = new Map<string, string>();
  for (const entry of code === 0 ? text.split("\0") : []) {
    const end = entry.indexOf("\n");
    if (end > 0) values.set(entry.slice(0, end), entry.slice(end + 1));
  }
  const paths = [...values].filter(([key]) => key.endsWith(".path"));
  return new Map(paths.map(([key, path]) => [path, values.get(key.replace(/\.path$/, ".url")) ?? ""]));
}

/** Why submodules of a commit could not be fetched, one reason a line; empty when there is none. */
export async function submoduleProblems(source: Source): Promise<string[]> {
  const submodules = await submodulesOf(source);
  const base = submodules.length === 0 ? null : await source.url();
  return submodules.flatMap(({ path, url, named }) => {
    if (url !== null) return [];
    if (!named) return [`${path}: a submodule without a url in .gitmodules: git submodule add URL ${path}`];
    const isRelative = named.startsWith("./") || named.startsWith("../");
    const mend =
      isRelative && base === null
        ? "relative to the repository's own address, which dp does not know: dp setup APP URL"
        : "dp fetches submodules by https, http, git and ssh only";
    return [`${path}: a submodule from ${JSON.stringify(named)}, ${mend}`];
  });
}

// Fetches the commit alone where the server allows that, otherwise all branches and tags.
const FETCH = `set -e
temp=$1 url=$2 sha=$3 to=$4; shift 4
git init --quiet --bare --template= -- "$temp"
fetch() { git --git-dir "$temp" fetch --quiet --no-tags --no-recurse-submodules "$@"; }
fetch --depth 1 -- "$url" "$sha" 2>/dev/null ||
  fetch -- "$url" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*'
git --git-dir "$temp" cat-file -e "$sha^{commit}" 2>/dev/null || { echo "it has no commit $sha: push it there"; exit 1; }
git "$@" --git-dir "$temp" archive --format=tar "$sha" >"$temp/tar"
tar -x -f "$temp/tar" --no-same-owner -C "$to"
rm -- "$temp/tar"`;

/**
 * Lays out every submodule of a commit in `folder`, including nested submodules and LFS files. Throws DpError "command"
 * with git's output when one cannot be fetched.
 */
export async function layOutSubmodules(source: Source, folder: string, fetcher: Fetcher, io: Io): Promise<void> {
  for (const { path, sha, url, named } of await submodulesOf(source)) {
    if (url === null)
      throw cannot(path, named ?? "nowhere", ["dp fetches submodules by https, http, git and ssh only"]);
    const temp = (await io.run(["mktemp", "-d"], { ...fetcher, quiet: true })).text;
    try {
      const to = join(folder, path);
      const argv = ["sh", "-c", FETCH, "sh", join(temp, "git"), url, sha, to, ...NO_FILTERS];
      const { code, text } = await io.run(argv, { ...fetcher, check: false, quiet: true });
      if (code !== 0) throw cannot(path, url, tail(text, 10));
      io.info(`submodule ${path} at ${sha.slice(0, 7)}`);
      const inner = userSource(join(temp, "git"), sha, url, fetcher, io);
      await fetchLfs(inner, to, fetcher, io);
      await layOutSubmodules(inner, to, fetcher, io);
    } finally {
      await io.run(["rm", "-rf", "--", temp], { ...fetcher, quiet: true });
    }
  }
}

function cannot(path: string, url: string, lines: string[]): DpError {
  return new DpError("command", `the submodule ${path} cannot be fetched from ${url}`, {
    lines,
    hint: "it is fetched as the app's user, with the keys and passwords in that user's home",
  });
}
