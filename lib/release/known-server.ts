// An app's config.yml for whoever only looks: while the file has a mistake, what was known of it last.
import { factOf } from "../pipeline/context.ts";
import { DpError, messageOf } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { readServer } from "../config/server.ts";
import { newestRun } from "./history.ts";
import type { ServerConfig } from "../config/types.ts";

/** `mistake`: what is wrong with config.yml now, with its line; null: nothing. */
export interface Known {
  server: ServerConfig;
  mistake: string | null;
}

/** config.yml, or while it has a mistake, that of the newest run. Throws what readServer throws when there is no such run. */
export async function knownServer(app: string): Promise<Known> {
  try {
    return { server: await readServer(app), mistake: null };
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "config") throw error;
    const run = (await newestRun(app))?.run;
    if (!run || !("server" in run.facts)) throw error;
    return { server: factOf(run, "server", fact.server), mistake: mistakeOf(error) };
  }
}

/** The same; the mistake is told. */
export async function toldServer(app: string, tell: (line: string) => void): Promise<ServerConfig> {
  const { server, mistake } = await knownServer(app);
  if (mistake !== null) tell(`${mistake}; this is by the config.yml of the last deploy`);
  return server;
}

/** A mistake in one line: `config.yml:3:1 prot: unknown key …`. */
export const mistakeOf = (error: DpError): string =>
  error.lines.length > 0 ? error.lines.join("; ") : messageOf(error);
