// Where the files of a release are: the folder that a run made, or that of the release whose files it uses once more.
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { isReleaseId } from "../paths.ts";

/** The release, of those in a folder, whose files a release uses: its own, or for a restart those of an older one. */
export function treeOf(releases: string, id: string): string {
  try {
    const to = readlinkSync(join(releases, id));
    return isReleaseId(to) ? to : id;
  } catch {
    return id; // a folder, or gone
  }
}

/**
 * The app's own folder, absolute. Whatever works there must enter it as the app's user: a build may have put a link
 * in its place, which root must not follow.
 */
export function appFolder(release: string, { root }: { root?: string }): string {
  return root === undefined ? release : join(release, root);
}
