// What the live release shares and a new one does not: the app would no longer find what it kept there.
import type { App } from "../contracts/app.ts";
import type { Shared } from "../config/shared-schema.ts";
import { DpError } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { factOf } from "../pipeline/run-file.ts";
import { readOnce, runFile } from "./history.ts";

/** The paths, as deploy.yml of the live release names them. */
export async function noLongerShared(app: App, names: Shared | undefined): Promise<string[]> {
  const before = pathsOf(await sharedByLive(app));
  const now = pathsOf(names);
  return before.filter((path) => !now.some((other) => path === other || path.startsWith(`${other}/`)));
}

const pathsOf = (names: Shared | undefined) => (names === undefined ? [] : [...names.dirs, ...names.files]);

async function sharedByLive(app: App): Promise<Shared | undefined> {
  const live = await app.live();
  if (live === null) return undefined;
  try {
    return factOf(await readOnce(runFile(app, live)), "config", fact.config).shared;
  } catch (error) {
    if (error instanceof DpError) return undefined; // a damaged record is told elsewhere
    throw error;
  }
}
