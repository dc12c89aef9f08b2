// Where an app's own files are in its release: at the top, or in the folder that `root` of deploy.yml names.
import { join } from "node:path";
import type { DeployConfig } from "../config/config.ts";

/**
 * The app's own folder, absolute. Whatever works there must enter it as the app's user: a build may have put a link
 * in its place, which root must not follow.
 */
export function appFolder(release: string, { root }: Pick<DeployConfig, "root">): string {
  return root === undefined ? release : join(release, root);
}
