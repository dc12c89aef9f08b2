// Removal of a folder whose contents the app may have made.
import { lstat, rmdir } from "node:fs/promises";
import { codeOf } from "../errors.ts";
import type { Io } from "./io.ts";
import { isOther } from "./process/privilege.ts";

/**
 * Removes the folder of a release or venv. `user`: its possible owner, when dp is root. rm follows no links, even if the
 * app replaces a folder with one in the meantime. Safe to repeat.
 */
export async function removeTree(folder: string, user: string | undefined, io: Io): Promise<void> {
  try {
    if (!(await lstat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  if (isOther(user)) {
    await io.run(["rm", "-rf", "--one-file-system", "--", folder], { quiet: true, timeout: 300_000 });
    return;
  }
  const script = 'chmod -R u+rwX -- "$1" && find "$1" -mindepth 1 -delete';
  await io.run(["sh", "-c", script, "sh", folder], { quiet: true, timeout: 300_000 });
  await rmdir(folder);
}
