// config.yml as dp has read it, kept beside it: YAML and its schema take a fifth of a rollback that is wanted now.
import { join } from "node:path";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { ServerConfig } from "./types.ts";

/** What was read from which text, and by which dp: another one may read the same text as something else. */
interface Kept {
  tree: string;
  text: string;
  server: ServerConfig;
}

/** Where it is kept, in the app's base folder: dp's own, as config.yml is. */
export const keptFile = (base: string) => join(base, "config.json");

/** What the dp in `tree` has read from that very text, or null. */
export async function keptServer(base: string, tree: string, text: string): Promise<ServerConfig | null> {
  try {
    const kept = JSON.parse((await readText(keptFile(base))) ?? "null") as Kept | null;
    return kept?.tree === tree && kept.text === text ? kept.server : null;
  } catch {
    return null; // damaged: it is read anew
  }
}

/** Keeps it for the next command; without a place for it, that reads config.yml itself. */
export async function keepServer(base: string, kept: Kept): Promise<void> {
  await writeFileAtomic(keptFile(base), JSON.stringify(kept), 0o600).catch(() => undefined);
}
