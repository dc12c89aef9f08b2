// The releases in use: a process has its current folder there, be it a one-off command, somebody's shell or anything
// else.
import { readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { isReleaseId } from "../text/ids.ts";
import { allPids } from "../host/process/proc.ts";

/** The IDs of the releases that contain the current folder or the program of any process. */
export function releasesInUse({ places }: NamedApp): string[] {
  const folder = `${realOf(places.releases)}/`;
  const found = new Set<string>();
  for (const pid of allPids()) {
    for (const link of ["cwd", "exe"]) {
      const at = linkOf(join("/proc", String(pid), link));
      const id = at?.startsWith(folder) ? at.slice(folder.length).split("/", 1)[0]! : "";
      if (isReleaseId(id)) found.add(id);
    }
  }
  return [...found];
}

// /proc shows paths with all links resolved.
function realOf(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // gone, or another user's
  }
}
