// The app that a command is about: looked up once, then handed on as one value.
import type { App, NamedApp } from "../contracts/app.ts";
import { readServer } from "../config/server.ts";
import type { ServerConfig } from "../config/types.ts";
import { target } from "../host/link.ts";
import { places } from "../paths.ts";
import { idOf } from "../text/ids.ts";
import { factOf, type Run } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { front } from "../registry.ts";
import { managerOf } from "./manager.ts";

/** The app of that name, whether it was set up or not. Throws DpError "usage" for what cannot be a name. */
export function namedApp(name: string): NamedApp {
  const own = places(name);
  return {
    name,
    places: own,
    live: async () => idOf(await target(own.current)),
    previous: async () => idOf(await target(own.previous)),
  };
}

/**
 * The app with its current config.yml. Throws DpError "usage" when there is no such app, "config" when the file is
 * wrong.
 */
export async function openApp(name: string): Promise<App> {
  const app = namedApp(name);
  return withServer(app, await readServer(app.places));
}

/** The app as a run knows it, from the facts of its steps: with config.yml as it was when the run began. */
export async function appOf({ app, server }: { app: string; server: ServerConfig }): Promise<App> {
  return withServer(namedApp(app), server);
}

/** The same from a whole run. Throws DpError "run" when it lacks those facts. */
export const appOfRun = (run: Run): Promise<App> =>
  appOf({ app: factOf(run, "app", fact.app), server: factOf(run, "server", fact.server) });

/** The app with this config.yml. */
export async function withServer(app: NamedApp, server: ServerConfig): Promise<App> {
  return { ...app, server, manager: managerOf(app, server), front: await front(server.front) };
}
