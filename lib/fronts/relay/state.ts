// routes.json: the routes, and the ports of the domains, that the relay loads after a restart.
import { closeSync, fchmodSync, fsync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DpError, messageOf } from "../../errors.ts";
import { readText } from "../../host/files.ts";
import type { Edge } from "../../config/tls.ts";
import type { Route } from "../../contracts/front.ts";

const VERSION = 1;

const pathOf = (folder: string) => join(folder, "routes.json");

/** What is saved. */
export interface State {
  routes: Route[];
  /** Missing in the file of an older relay. */
  edge: Edge | null;
}

/** The saved state; nothing when the file does not exist. Throws DpError "host" when the file cannot be read. */
export async function loadState(folder: string): Promise<State> {
  const text = await readText(pathOf(folder));
  if (text === null) return { routes: [], edge: null };
  try {
    const state = JSON.parse(text) as { version: number; routes: Route[]; edge?: Edge };
    if (state.version !== VERSION) throw new Error(`its version is ${state.version}, not ${VERSION}`);
    return { routes: state.routes, edge: state.edge ?? null };
  } catch (error) {
    throw new DpError("host", `${pathOf(folder)} cannot be read: ${messageOf(error)}`, {
      hint: "remove the file, start the relay, and run: dp reconcile",
      cause: error,
    });
  }
}

/** Saves the state durably. */
export async function saveState(folder: string, { routes, edge }: State): Promise<void> {
  const temp = `${pathOf(folder)}.tmp`;
  rmSync(temp, { force: true });
  await durably(openSync(temp, "wx", 0o600), (fd) => {
    fchmodSync(fd, 0o600); // independent of the umask
    writeSync(fd, `${JSON.stringify({ version: VERSION, routes, ...(edge === null ? {} : { edge }) }, null, 2)}\n`);
  });
  renameSync(temp, pathOf(folder));
  await durably(openSync(folder, "r"), () => undefined);
}

const sync = promisify(fsync);

/**
 * Changes an open file, waits until the change is on disk, and closes it. Only the wait runs on another thread: it is the
 * slow part, and every `await` costs a turn of an event loop that may be busy with requests.
 */
async function durably(fd: number, change: (fd: number) => void): Promise<void> {
  try {
    change(fd);
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}
