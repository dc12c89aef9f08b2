// config.yml as parsed by dp, kept beside it: parsing YAML and validating it takes a fifth of the time of a rollback.
import { ownText, writeFileAtomic } from "../host/files.ts";
import type { ServerConfig } from "./types.ts";

/** The parsed config, its source text, and the dp that parsed it: another dp may parse the same text differently. */
interface Kept {
  tree: string;
  text: string;
  server: ServerConfig;
}

/** The file for it in the app's base folder, which only dp can write, like config.yml. */
export const keptFile = (base: string) => `${base}/config.json`;

/** The result that the dp in `tree` has kept for exactly this text, or null. */
export async function keptServer(base: string, tree: string, text: string): Promise<ServerConfig | null> {
  try {
    const kept = JSON.parse(ownText(keptFile(base)) ?? "null") as Kept | null;
    return kept?.tree === tree && kept.text === text ? kept.server : null;
  } catch {
    return null; // damaged: parse it again
  }
}

/** Keeps it for the next command; if it cannot be written, that command parses config.yml again. */
export async function keepServer(base: string, kept: Kept): Promise<void> {
  await writeFileAtomic(keptFile(base), JSON.stringify(kept), 0o600).catch(() => undefined);
}
