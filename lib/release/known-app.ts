// An app for commands that only look: while its config.yml has a mistake, with the last known one.
import type { App } from "../contracts/app.ts";
import { DpError, messageOf } from "../errors.ts";
import { openApp, appOfRun } from "./app.ts";
import { namedApp } from "./named-app.ts";
import { newestRun } from "./history.ts";

/** `mistake`: what is wrong with config.yml now, with its line; null: nothing. */
export interface Known {
  app: App;
  mistake: string | null;
}

/**
 * The app; while config.yml has a mistake, with that of the newest run. Throws what openApp throws when there is no
 * such run.
 */
export async function knownApp(name: string): Promise<Known> {
  try {
    return { app: await openApp(name), mistake: null };
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "config") throw error;
    const run = (await newestRun(namedApp(name)))?.run;
    if (!run || !("server" in run.facts)) throw error;
    return { app: await appOfRun(run), mistake: mistakeOf(error) };
  }
}

/** The same; `tell` gets the mistake. */
export async function toldApp(name: string, tell: (line: string) => void): Promise<App> {
  const { app, mistake } = await knownApp(name);
  if (mistake !== null) tell(`${mistake}; this is from the config.yml of the last deploy`);
  return app;
}

/** A mistake in one line: `config.yml:3:1 prot: unknown key …`. */
export const mistakeOf = (error: DpError): string =>
  error.lines.length > 0 ? error.lines.join("; ") : messageOf(error);
