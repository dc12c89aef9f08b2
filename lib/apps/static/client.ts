// dp's client for the static server: asks whether it runs and what it serves, and makes it reload the sites.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DpError, messageOf } from "../../errors.ts";
import type { Served } from "./listeners.ts";
import { runFolder, staticFolder } from "./site.ts";

/** The status of the static server. */
export interface Status {
  pid: number;
  version: string;
  sites: Served[];
}

// Longer than in-flight requests of a stopped site may take.
const PATIENCE = 20_000;

async function ask(method: string, path: string, timeout: number): Promise<Status | null> {
  const unix = join(runFolder(staticFolder()), "control.sock");
  if (!existsSync(unix)) return null;
  try {
    const answer = await fetch(`http://static${path}`, { unix, method, signal: AbortSignal.timeout(timeout) });
    if (answer.ok) return (await answer.json()) as Status;
    throw new DpError("host", `the static server: ${await answer.text()}`);
  } catch (error) {
    if (error instanceof DpError) throw error;
    if (error instanceof Error && error.name === "TimeoutError")
      throw new DpError("host", `the static server does not answer: ${messageOf(error)}`);
    return null; // nobody listens there
  }
}

/** The current status; null when the server does not run. */
export const status = () => ask("GET", "/status", 5_000);
/** The status after the server has reloaded the files of the sites. */
export const syncSites = () => ask("POST", "/sync", PATIENCE);
