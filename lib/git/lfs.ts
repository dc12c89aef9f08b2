// Files that are stored in Git LFS: found by their pointers, fetched as the app's user.
import { join } from "node:path";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { tail } from "../host/process/output.ts";
import { run } from "../host/run.ts";
import { NO_FILTERS, type Fetcher, type Source } from "./source.ts";

const OID = "^oid sha256:[0-9a-f]{64}$";
const ATTRIBUTES = ".gitattributes";
// <mode> SP blob SP <object> SP <size, padded> TAB <path>
const FILE = /^100\d+ blob [0-9a-f]+ +(\d+)\t([\s\S]+)$/;
const VERSION = "version https://git-lfs.github.com/spec/v1";

/** The paths of a commit's pointer files; empty unless one of its .gitattributes files contains `filter=lfs`. */
export async function pointersIn({ git, sha, list }: Source): Promise<string[]> {
  const entries = await list();
  if (!entries.some(({ path }) => path === ATTRIBUTES || path.endsWith(`/${ATTRIBUTES}`))) return [];
  const attributes = ["-e", "filter=lfs", sha, "--", `:(glob)**/${ATTRIBUTES}`];
  if ((await git(["grep", "--quiet", "-F", ...attributes], { check: false })).code !== 0) return [];
  const found = await git(["grep", "-l", "-z", "-E", "--all-match", "-e", `^${VERSION}$`, "-e", OID, sha], {
    check: false,
  });
  const named = new Set(found.text.split("\0").map((line) => line.slice(sha.length + 1)));
  const sized = await git(["ls-tree", "-r", "-l", "-z", "--full-tree", sha]);
  // A pointer is never longer: a larger file only quotes one.
  return sized.text.split("\0").flatMap((line) => {
    const [, size, path = ""] = FILE.exec(line) ?? [];
    return named.has(path) && Number(size) <= 1024 ? [path] : [];
  });
}

/** Why a commit's LFS files could not be fetched, one reason a line. Throws DpError "host" without git-lfs. */
export async function lfsProblems(source: Source): Promise<string[]> {
  const [first, ...more] = await pointersIn(source);
  if (first === undefined) return [];
  const which = `${first}${more.length > 0 ? ` and ${more.length} more` : ""}`;
  if ((await run(["git", "lfs", "version"], { check: false })).code !== 0)
    throw new DpError("host", `${which}: stored in Git LFS, but this server has no git-lfs`, {
      hint: "apt install git-lfs",
    });
  const blob = `${source.sha}:.lfsconfig`;
  // An include in the blob would make git open any file of the server.
  const ask = ["config", "--no-includes", "--blob", blob, "--get-regexp", "^(lfs\\.url|remote\\..*\\.lfsurl)$"];
  const own = await source.git(ask, { check: false });
  if (own.code === 0 || (await source.url()) !== null) return [];
  const mend = "git config -f .lfsconfig lfs.url URL, and commit .lfsconfig; or on the server: dp setup APP URL";
  return [`${which}: stored in Git LFS, which a push does not contain; name the LFS server: ${mend}`];
}

// A repository with only the pointers, over the files in the folder: git-lfs then replaces them itself.
const FETCH = `set -e
export GIT_DIR=$1 GIT_WORK_TREE=$2 GIT_LITERAL_PATHSPECS=1
url=$3; shift 3
cd -- "$GIT_WORK_TREE"
git init --quiet --template=
[ -z "$url" ] || git config remote.origin.url "$url"
find . -type f -size -3 -exec grep -lZx -m 1 '${VERSION}' {} + >"$GIT_DIR/pointers" || :
git "$@" add --force --pathspec-from-file="$GIT_DIR/pointers" --pathspec-file-nul
git "$@" -c user.name=dp -c user.email=dp@localhost -c core.hooksPath=/dev/null commit --quiet -m pointers
git lfs pull
left=$(xargs -0 grep -lx -m 1 '${VERSION}' <"$GIT_DIR/pointers" || :)
[ -z "$left" ] || { echo "still pointers: $left"; exit 1; }`;

/**
 * Replaces the pointers of a commit that is laid out in `folder`; answers their paths. Throws DpError "command" with
 * git-lfs's output.
 */
export async function fetchLfs(source: Source, folder: string, fetcher: Fetcher, io: Io): Promise<string[]> {
  const pointers = await pointersIn(source);
  if (pointers.length === 0) return pointers;
  const temp = (await io.run(["mktemp", "-d"], { ...fetcher, quiet: true })).text;
  try {
    const argv = ["sh", "-c", FETCH, "sh", join(temp, "git"), folder, (await source.url()) ?? "", ...NO_FILTERS];
    const { code, text } = await io.run(argv, { ...fetcher, check: false, quiet: true });
    if (code === 0) {
      io.info(`${pointers.length} LFS ${pointers.length === 1 ? "file" : "files"}`);
      return pointers;
    }
    throw new DpError("command", `the Git LFS files cannot be fetched (${pointers[0]} is one of them)`, {
      lines: tail(text, 10),
      hint: "push them to the LFS server, git lfs push --all REMOTE; they are fetched as the app's user, with the credentials in its home",
    });
  } finally {
    await io.run(["rm", "-rf", "--", temp], { ...fetcher, quiet: true });
  }
}
