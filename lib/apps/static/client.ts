// dp's side of the static server: is it there, what does it serve, and look at the sites again.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DpError, messageOf } from "../../errors.ts";
import type { Served } from "./listeners.ts";
import { runFolder, staticFolder } from "./site.ts";

/** What the static server says of itself. */
export interface Status {
  pid: number;
  version: string;
  sites: Served[];
}

// Longer than what is under way on a stopped site may take.
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

/** What runs now; null when it does not run. */
export const status = () => ask("GET", "/status", 5_000);
/** The same, after what is served was made to follow from the files of the sites. */
export const syncSites = () => ask("POST", "/sync", PATIENCE);
