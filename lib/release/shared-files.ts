// Shared files: files and folders of shared/, linked into a release by the app's own user.
import { lchown, mkdir, rename } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Shared } from "../config/shared-schema.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { tail } from "../host/process/output.ts";
import { isOther } from "../host/process/privilege.ts";
import { idsOf } from "../host/users.ts";
import { closeParents, isClosed, parentsOf, statOf } from "../host/closed.ts";

/** Where links are made, and by which user. Paths are absolute. */
export interface LinkPlace {
  /** The app's folder shared/, writable by the app: root trusts nothing in it and follows no link there. */
  shared: string;
  /** The app's own folder in the release. */
  folder: string;
  user: string | undefined;
  /** The build user, if it is not the app's: it owns the links in the release. */
  builder?: string | undefined;
  /** Limit for copying, in milliseconds. */
  timeout: number;
  /** True: the parent folders of shared paths become root's, see closed.ts, unless they are already. */
  mounts?: boolean;
}

// Prints the paths that exist and are of the wrong kind; arguments are pairs of d or f and a path.
const CHECK = `while [ $# -gt 1 ]; do
  if [ -e "$2" ] || [ -L "$2" ]; then [ -"$1" "$2" ] || printf '%s\\n' "$2"; fi
  shift 2
done`;

// The commit's files are copied under another name and then renamed: no half copy is ever found, and a path that
// appeared meanwhile stays.
const FILL = `set -e
umask 027
fill() {
  if [ -e "$2" ] && [ ! -L "$2" ]; then cp -a -- "$2" "$3"; echo moved
  elif [ "$1" = d ]; then mkdir -- "$3"
  else : >"$3"; fi
}
`;

// Runs as the app's user, who may read the new release.
const KEEP = `${FILL}kind=$1 own=$2 in_release=$3 temp=$4
mkdir -p -- "$(dirname "$own")"
rm -rf -- "$temp"
if [ ! -e "$own" ] && [ ! -L "$own" ]; then
  fill "$kind" "$in_release" "$temp"
  mv -nT -- "$temp" "$own"
  rm -rf -- "$temp"
fi`;

const LINK = `set -e
in_release=$1 link=$2
mkdir -p -- "$(dirname "$in_release")"
rm -rf -- "$in_release"
ln -s -- "$link" "$in_release"`;

async function requireFit({ shared, user, timeout }: LinkPlace, names: Shared, io: Io): Promise<void> {
  const folders = [...names.dirs, ...[...names.dirs, ...names.files].flatMap(parentsOf)];
  const wanted = [...new Set(folders)].map((name) => ["d", join(shared, name)]);
  wanted.push(...names.files.map((name) => ["f", join(shared, name)]));
  const { text } = await io.run(["sh", "-c", CHECK, "sh", ...wanted.flat()], { user, timeout, quiet: true });
  const wrong = text.split("\n").filter(Boolean);
  if (wrong.length === 0) return;
  const lines = wrong.map((path) => {
    const isFile = names.files.includes(relative(shared, path));
    return `${path} is not a ${isFile ? "file" : "folder"}, but deploy.yml shares ${isFile ? "a file" : "a folder"} of that name`;
  });
  throw new DpError("config", "the files in shared/ do not fit deploy.yml; nothing was changed", {
    lines,
    hint: `change deploy.yml, or on the server: mv ${wrong[0]} ${wrong[0]}.old`,
  });
}

// For places where only root may write: the app's user makes the file in a folder of its own, and root moves it from
// there.
async function put(
  { shared, folder, timeout }: LinkPlace,
  user: string,
  kind: string,
  name: string,
  desk: string,
  io: Io,
): Promise<boolean> {
  const remove = () => io.run(["rm", "-rf", "--one-file-system", "--", desk], { quiet: true, timeout });
  await remove();
  if ((await statOf(join(shared, name))) !== null) return false;
  await mkdir(desk, { mode: 0o700 });
  try {
    await lchown(desk, ...(await idsOf(user)));
    const made = join(desk, "made");
    const argv = ["sh", "-c", `${FILL}fill "$@"`, "sh", kind, join(folder, name), made];
    const { text } = await io.run(argv, { user, timeout, quiet: true });
    await rename(made, join(shared, name));
    return text === "moved";
  } finally {
    await remove();
  }
}

/**
 * Links every shared name into the release. A missing one is created in shared/: the first time from the commit's
 * files, otherwise empty. Answers the names that came from the commit. Safe to repeat. Throws DpError "config" when a
 * folder is where a file is wanted, or the other way round, and then changes nothing.
 */
export async function linkShared(place: LinkPlace, names: Shared, io: Io): Promise<string[]> {
  const { shared, folder, user, timeout } = place;
  await requireFit(place, names, io);
  const moved: string[] = [];
  const all = [...names.dirs.map((name) => ["d", name] as const), ...names.files.map((name) => ["f", name] as const)];
  const closed = isOther(user) && all.length > 0 && (place.mounts === true || (await isClosed(shared)));
  if (closed) await closeParents(shared, [...names.dirs, ...names.files], user);
  for (const [kind, name] of all) {
    const [own, inRelease] = [join(shared, name), join(folder, name)];
    const link = relative(dirname(inRelease), own);
    const temp = join(dirname(own), `.dp-new.${name.split("/").at(-1)}`);
    if (closed && (await put(place, user, kind, name, temp, io))) moved.push(name);
    const sh = async (script: string, as: string | undefined, ...words: string[]) => {
      const options = { user: as, timeout, quiet: true, check: false };
      const { code, text } = await io.run(["sh", "-c", script, "sh", ...words], options);
      if (code !== 0) throw new DpError("command", `${name} cannot be linked to ${own}`, { lines: tail(text, 5) });
      return text;
    };
    if ((await sh(KEEP, user, kind, own, inRelease, temp)) === "moved") moved.push(name);
    await sh(LINK, place.builder ?? user, inRelease, link);
  }
  if (all.length > 0) await io.run(["sync", "-f", shared], { quiet: true, timeout });
  return moved;
}
