// When a key was last used: the time of an empty file for each.
import { closeSync, futimesSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { removeFile } from "../host/files.ts";
import { usesFolder } from "./places.ts";

// A fingerprint has slashes.
const fileOf = (print: string) => join(usesFolder(), print.replace("SHA256:", "").replaceAll("/", "_"));

/** Notes that a key is used now. Whoever is let in is not kept out because the disk is full. */
export function noteUse(print: string): void {
  try {
    mkdirSync(usesFolder(), { recursive: true, mode: 0o700 });
    const fd = openSync(fileOf(print), "a", 0o600);
    try {
      futimesSync(fd, new Date(), new Date());
    } finally {
      closeSync(fd);
    }
  } catch {
    return; // the time of the last use is a help, and no more
  }
}

/** When a key was last used, ISO 8601, or null. */
export const lastUse = (print: string): string | null =>
  statSync(fileOf(print), { throwIfNoEntry: false })?.mtime.toISOString() ?? null;

/** Forgets a key that is gone. */
export const forgetUse = (print: string): Promise<boolean> => removeFile(fileOf(print));
