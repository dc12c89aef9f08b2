// The app that a command is about: looked up once, then handed on as one value.
import { realpath } from "node:fs/promises";
import { basename } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Front } from "../contracts/front.ts";
import { isSetUp, readServer } from "../config/server.ts";
import type { ServerConfig } from "../config/types.ts";
import { DpError } from "../errors.ts";
import { factOf, type Run } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { front, manager } from "../registry.ts";
import { managerOf } from "./manager.ts";
import { appNamed, namedApp } from "./named-app.ts";

/**
 * The app with its current config.yml. Throws DpError "usage" when there is no such app, "config" when the file is
 * wrong.
 */
export const openApp = (name: string): Promise<App> => opened(namedApp(name));

/** The same for an app that was named already. */
export async function opened(app: NamedApp): Promise<App> {
  return withServer(app, await readServer(app.places));
}

/** The app of a bare repository. Throws DpError "usage" when it is not one of dp's. */
export async function appOfRepo(repo: string): Promise<NamedApp> {
  const real = await realpath(repo).catch(() => null);
  const name = basename(real ?? repo, ".git");
  // Only repositories made by setup count: the path is derived from the name, never the name from the path.
  const app = real === null ? null : appNamed(name);
  if (app && isSetUp(app.places) && real === (await realpath(app.places.repo).catch(() => null))) return app;
  throw new DpError("usage", `${repo} is not the repository of an app`, { hint: "dp setup APP makes one" });
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
  return { ...app, server, manager: managerOf(app, server), front: await frontOf(server) };
}

// Without settings of the manager's own it is not loaded for this.
async function frontOf(server: ServerConfig): Promise<Front> {
  const own = await front(server.front);
  if (server.settings[server.manager] === undefined) return own;
  return (await manager(server.manager)).extend?.(own, server) ?? own;
}
