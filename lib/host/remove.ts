// Removal of a folder whose content the app may have made.
import { lstat, rmdir } from "node:fs/promises";
import { codeOf } from "../errors.ts";
import type { Io } from "./io.ts";
import { isOther } from "./process/privilege.ts";

/**
 * Removes a release's or venv's folder; `user`: whose it may be, when dp is root. rm follows no link, whatever the app
 * puts in place of a folder meanwhile. Safe to repeat.
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
