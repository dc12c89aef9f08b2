// The instances of a release: made from its run file, the same way for every step.
import { basename, join } from "node:path";
import type { Runtime } from "../contracts/app-type.ts";
import type { App } from "../contracts/app.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { appEnvironment } from "./environment.ts";
import { DpError } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { entriesOf } from "../git/entries.ts";
import type { Instance, Predecessor } from "../contracts/manager.ts";
import { treeOf } from "../host/release-folder.ts";
import { readOnce, runFile } from "./history.ts";
import { isJob, processOf, releaseOf } from "../text/ids.ts";
import { managerFor } from "./manager.ts";
import { placeOf, type PlaceFacts } from "./place.ts";
import { liveRunOf } from "./settings.ts";
import { reservePorts, takePort } from "./ports.ts";
import { appType } from "../registry.ts";

/** The facts behind an instance. */
export interface InstanceFacts extends PlaceFacts {
  runtime: Runtime;
}

/** The port that an instance must listen on: its own behind a front, otherwise the public one. */
export async function takeInstancePort({ app, release }: Pick<InstanceFacts, "app" | "release">): Promise<number> {
  if (app.front.holdsPort) return takePort(app, basename(release));
  await reservePorts(app, app.server.port);
  return app.server.port;
}

/** The web instance of a release. Throws DpError "config" when nothing says how to start it. */
export async function instanceOf(facts: InstanceFacts, port: number): Promise<Instance> {
  const { app, config, release, runtime } = facts;
  const { name, places, server, manager, front } = app;
  const env = await appEnvironment(front.holdsPort ? { ...facts, port } : facts, runtime);
  const place = placeOf(facts, env);
  const type = await appType(config.type);
  const command = config.command ?? (await type.command(place, runtime));
  const { ownNetwork } = await managerFor(config.type, server);
  const host = ownNetwork ? "0.0.0.0" : (env["DP_HOST"] ?? "127.0.0.1");
  const listen = type.listenVariables?.(host, Number(env["PORT"]));
  const { user, stopTimeout, path, protocol, settings: operator, instances: workers = 1 } = server;
  const id = basename(release);
  const instance: Instance = {
    app: name,
    id,
    folder: place.folder,
    config,
    command,
    env: { ...listen, ...env, DP_PROCESS: processOf(id) },
    user,
    stopTimeout,
    path,
    workers,
    protocol,
    operator,
    runsOn: runtime,
    predecessor: () => predecessorOf(app, id),
    committed: () => entriesOf(places.repo, facts.sha),
  };
  await manager.requireStartable?.(instance);
  return instance;
}

/** The release that serves until `id` does; for the live one, the release that `previous` names. */
async function predecessorOf(app: App, id: string): Promise<Predecessor | null> {
  const live = await app.live();
  const before = live === id ? await app.previous() : live;
  if (before === null || before === id) return null;
  const { releases } = app.places;
  const folder = join(releases, treeOf(releases, before));
  try {
    return { id: before, folder, config: factOf(await load(runFile(app, before)), "config", fact.config) };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return { id: before, folder, config: null };
  }
}

/** An instance of a release other than web: for a process or an entry of `cron`. It has no port. */
export async function otherInstance(facts: InstanceFacts, id: string): Promise<Instance> {
  const { app, config, runtime } = facts;
  const { server } = app;
  const [process = "", name] = processOf(id).split(".");
  const what = isJob(id) ? config.cron.find((entry) => entry.name === name) : config.processes[process];
  if (what === undefined) throw new DpError("usage", `${releaseOf(id)} has no ${processOf(id)}`);
  const { PORT: _port, DP_HOST: _host, ...env } = await appEnvironment(facts, runtime);
  const { folder } = placeOf(facts, env);
  const { user, path, settings: operator } = server;
  const stopTimeout = ("stopTimeout" in what ? what.stopTimeout : undefined) ?? server.stopTimeout;
  const { command } = what;
  const variables = { ...env, DP_PROCESS: processOf(id) };
  const how = { user, stopTimeout, path, operator, runsOn: runtime };
  return { app: app.name, id, folder, config, command, env: variables, ...how };
}

/** The facts of an earlier release, with the settings that it had and the server's current config. */
export async function factsOfRelease(app: App, id: string): Promise<InstanceFacts & { subject: string }> {
  const run = await readOnce(runFile(app, id));
  return {
    app,
    run: (await liveRunOf(app, id)) ?? id,
    config: factOf(run, "config", fact.config),
    sha: factOf(run, "sha", fact.sha),
    release: factOf(run, "release", fact.release),
    runtime: factOf(run, "runtime", fact.runtime),
    subject: factOf(run, "subject", fact.subject),
  };
}
