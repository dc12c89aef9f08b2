// Whose a release or its dependencies are: in the hands of one user while they are made, and root's for good afterwards.
import { lstatSync, readFileSync } from "node:fs";
import { DpError } from "../errors.ts";
import type { Io } from "./io.ts";
import { isOther } from "./process/privilege.ts";
import { idsOf } from "./users.ts";

/** Who makes something, and who may read it then: the app's user, by its group. */
export interface Makers {
  maker: string | undefined;
  reader: string | undefined;
}

const LONG = 15 * 60_000;

// Where a user may link to files of others, what lies in its folder need not be its own, and is not handed to anybody.
const linksAreSafe = () => readFileSync("/proc/sys/fs/protected_hardlinks", "utf8").trim() !== "0";

/** Whether what a user made can be taken from it here. */
export const canTake = (reader: string | undefined): reader is string => isOther(reader) && linksAreSafe();

/**
 * Gives a folder, and all in it, to another user; its own owner last, so that by it a second call goes on with what one
 * that was killed began. chown follows no link, whatever takes the place of a file meanwhile.
 */
export async function handTo(folder: string, { maker, reader }: Makers, io: Io): Promise<void> {
  if (maker === undefined || !canTake(reader)) return;
  const [uid] = await idsOf(maker);
  const [, gid] = await idsOf(reader);
  if (lstatSync(folder).uid === uid) return;
  await io.run(["chown", "-R", "-h", `${uid}:${gid}`, "--", folder], { quiet: true, timeout: LONG });
}

/** Whether nobody but root can change what is in a folder; what the static server reads is told by its mode. */
export function isSealed(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  return uid === 0 || (mode & 0o222) === 0;
}

/**
 * Makes a folder, and all in it, root's: the reader may read what its maker could, and nobody can write. Safe to repeat.
 * Throws DpError "command" when somebody keeps opening it meanwhile.
 */
export async function seal(folder: string, { maker, reader }: Makers, io: Io): Promise<void> {
  if (!canTake(reader)) return;
  const [, gid] = await idsOf(reader);
  const options = { quiet: true, timeout: LONG };
  // As its maker: by then a name may lead to another file, and only the maker's own are changed so.
  await io.run(["chmod", "-R", "g=u,go-w,ug-s", "--", folder], { ...options, user: maker, check: false });
  await io.run(["chown", "-R", "-h", `0:${gid}`, "--", folder], options);
  const tests = ["!", "-type", "l", "(", "-perm", "/022", "-o", "!", "-uid", "0", ")"];
  const open = await io.run(["find", folder, "-xdev", ...tests, "-print", "-quit"], options);
  if (open.text !== "")
    throw new DpError("command", `${open.text.split("\n", 1)[0]} was opened to others while the release was closed`, {
      hint: "deploy again; a process of the app changes its own release",
    });
}
