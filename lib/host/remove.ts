// Removal of a folder whose content belongs to the app: never with more rights than the app has.
import { lstat, rmdir } from "node:fs/promises";
import { codeOf } from "../errors.ts";
import type { Io } from "./io.ts";

/**
 * Removes a release's or venv's folder. As root its content is removed by the app's user, so that nothing
 * the app swaps in meanwhile can lead outside. Safe to repeat.
 */
export async function removeTree(folder: string, user: string | undefined, io: Io): Promise<void> {
  try {
    if (!(await lstat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const script = 'chmod -R u+rwX -- "$1" && find "$1" -mindepth 1 -delete';
  await io.run(["sh", "-c", script, "sh", folder], { user, quiet: true, timeout: 300_000 });
  await rmdir(folder);
}
