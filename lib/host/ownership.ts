// The ownership of a release and its dependencies: they belong to one user during the build, and to root from then on.
import { lstatSync, readdirSync, readFileSync, type Stats } from "node:fs";
import { DpError } from "../errors.ts";
import type { Io } from "./io.ts";
import { isOther } from "./process/privilege.ts";
import { idsOf } from "./users.ts";

/** The user who makes something, and the user who may then read it through its group: the app's. */
export interface Makers {
  maker: string | undefined;
  reader: string | undefined;
}

const LONG = 15 * 60_000;

// If users may hard-link files of others, a file in a user's folder may belong to somebody else and must not change hands.
const linksAreSafe = () => readFileSync("/proc/sys/fs/protected_hardlinks", "utf8").trim() !== "0";

/** Whether files can be taken from the user who made them here. */
export const canTake = (reader: string | undefined): reader is string => isOther(reader) && linksAreSafe();

/**
 * Gives a folder and its contents to another user. The folder's own owner changes last, so that a second call resumes
 * after a killed one. chown follows no links, even if a file is replaced by one in the meantime. Throws DpError "usage" for
 * a finished release that shares files with another.
 */
export async function handTo(folder: string, { maker, reader }: Makers, io: Io): Promise<void> {
  if (maker === undefined || !canTake(reader)) return;
  const [uid] = await idsOf(maker);
  const [, gid] = await idsOf(reader);
  if (lstatSync(folder).uid === uid) return;
  // The other names of such a file are in finished releases.
  const shared = ["-xdev", "-type", "f", "-links", "+1", "-uid", "0", "-print", "-quit"];
  const isShared = isSealed(folder) && (await io.run(["find", folder, ...shared], { quiet: true, timeout: LONG })).text;
  if (isShared)
    throw new DpError(
      "usage",
      `${folder} is finished and shares files with other releases: nothing more is built in it`,
      {
        hint: "deploy the commit again: dp deploy APP",
      },
    );
  await io.run(["chown", "-R", "-h", `${uid}:${gid}`, "--", folder], { quiet: true, timeout: LONG });
}

/** Whether only root can change the contents of a folder. For files of the static server the mode decides. */
export function isSealed(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  return uid === 0 || (mode & 0o222) === 0;
}

/**
 * Gives a folder and its contents to root: the reader may read what the maker could, and nobody can write. Safe to
 * repeat. Throws DpError "command" when somebody keeps making it writable in the meantime.
 */
export async function seal(folder: string, { maker, reader }: Makers, io: Io): Promise<void> {
  if (!canTake(reader)) return;
  const [, gid] = await idsOf(reader);
  const options = { quiet: true, timeout: LONG };
  // Runs as the maker: a name may lead to another file by now, and this way only the maker's own files are changed.
  if (firstOf(folder, isToChange) !== null)
    await io.run(["chmod", "-R", "g=u,go-w,ug-s", "--", folder], { ...options, user: maker, check: false });
  await io.run(["chown", "-R", "-h", `0:${gid}`, "--", folder], options);
  let open = firstOf(folder, isOpen);
  if (open === MANY) {
    const tests = ["!", "-type", "l", "(", "-perm", "/022", "-o", "!", "-uid", "0", ")"];
    const found = await io.run(["find", folder, "-xdev", ...tests, "-print", "-quit"], options);
    open = found.text === "" ? null : found.text.split("\n", 1)[0]!;
  }
  if (open !== null)
    throw new DpError("command", `${open} was opened to others while the release was closed`, {
      hint: "deploy again; a process of the app changes its own release",
    });
}

/** Whether `chmod g=u,go-w,ug-s` would change it. */
const isToChange = ({ mode }: Stats) => (mode & 0o6022) !== 0 || ((mode >> 6) & 0o5) !== ((mode >> 3) & 0o7);
const isOpen = ({ mode, uid }: Stats) => (mode & 0o022) !== 0 || uid !== 0;

/** So many entries are looked at here in less time than a program takes to start. */
const FEW = 300;
const MANY = Symbol("more than a few entries, or one that cannot be looked at here");
const SLASH = Buffer.from("/");

/**
 * The first file or folder of a tree, itself included, that is like that; null: none is. Follows no links. Names are bytes:
 * one that is no UTF-8 would not be found again. What goes wrong is left to the programs: a build may have made anything.
 */
function firstOf(root: string, isLike: (stat: Stats) => boolean): string | typeof MANY | null {
  try {
    const { dev } = lstatSync(root);
    const paths: Buffer[] = [Buffer.from(root)];
    for (const path of paths) {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) continue;
      if (isLike(stat)) return path.toString();
      if (!stat.isDirectory() || stat.dev !== dev) continue;
      const names = readdirSync(path, { encoding: "buffer" });
      if (paths.length + names.length > FEW) return MANY;
      for (const name of names) paths.push(Buffer.concat([path, SLASH, name]));
    }
    return null;
  } catch {
    return MANY;
  }
}
