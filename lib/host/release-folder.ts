// Where the files of a release are: in its own folder, or in that of an older release whose files it reuses.
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { isReleaseId } from "../text/ids.ts";

/** The release whose files a release uses: its own id, or for a restart that of an older one. */
export function treeOf(releases: string, id: string): string {
  try {
    const to = readlinkSync(join(releases, id));
    return isReleaseId(to) ? to : id;
  } catch {
    return id; // a folder, or gone
  }
}

/**
 * The app's own folder, absolute. Code that works there must enter it as the app's user: a build may have replaced it
 * with a link that root must not follow.
 */
export function appFolder(release: string, { root }: { root?: string }): string {
  return root === undefined ? release : join(release, root);
}
