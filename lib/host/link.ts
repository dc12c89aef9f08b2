// The links `current` and `previous`: relative, straight to releases/ID, replaced with one rename(2).
import { lstatSync, readlinkSync } from "node:fs";
import { rename, symlink } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { removeFile, syncFolder } from "./files.ts";

/**
 * The target of a link as an absolute path, or null when there is no link. Throws DpError "host" when the path is not a
 * link.
 */
export async function target(link: string): Promise<string | null> {
  try {
    // Most apps have no release before the first: to ask costs less than an error.
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) return null;
    return resolve(dirname(link), readlinkSync(link));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    if (codeOf(error) !== "EINVAL") throw error;
    throw new DpError("host", `${link} is not a link, and dp replaces only its own links`, {
      hint: `move it away: mv ${link} ${link}.old`,
    });
  }
}

/** Points a link at a folder, or removes it when `folder` is null. The link is never missing or half-written in between. */
export async function point(link: string, folder: string | null): Promise<void> {
  const live = await target(link);
  if (live === folder) return;
  if (folder === null) {
    await removeFile(link);
  } else {
    const temp = join(dirname(link), `.${basename(link)}.tmp.${process.pid}`);
    await removeFile(temp); // left by a killed run, and must never be published by this one
    await symlink(relative(dirname(link), folder), temp);
    await rename(temp, link);
  }
  await syncFolder(dirname(link));
}
