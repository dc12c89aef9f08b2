// `dp setup`: everything an app needs on the server before its first push; safe to repeat.
import { parseServerConfig } from "../config/config.ts";
import type { ServerConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { ManagedApp } from "../host/instance.ts";
import type { Io } from "../host/io.ts";
import { setupUser, userOf } from "../host/users.ts";
import { root } from "../paths.ts";
import { envFile } from "../config/env-file.ts";
import { manager } from "../registry.ts";
import { reservePorts } from "../release/ports.ts";
import { openApp, withServer } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { setupBuilder } from "../release/builder.ts";
import { routeOf } from "../release/route.ts";
import { sealAll } from "../release/sealing.ts";
import { setupBase } from "../setup/base.ts";
import { changeLines, isOfRoute, moveRoute, requireFree } from "../setup/live-port.ts";
import { addressOf, fetchFrom } from "../setup/origin.ts";
import { recordSetup } from "../setup/record.ts";
import { setupRepository } from "../setup/repository.ts";
import { serverKinds } from "../config/kinds.ts";
import {
  choose,
  configText,
  isServer,
  requireValid,
  restoreConfig,
  writeConfig,
  type SetupOptions,
} from "../setup/server-config.ts";
import { checkSetup } from "../setup/setup-check.ts";

export interface SetupResult {
  /** One sentence for each thing that was made or changed; empty when everything was as requested. */
  changes: string[];
  server: ServerConfig;
  /** Whether the live release answers at the address in config.yml. */
  isLive: boolean;
  /** Whether a release is live, at whatever address. */
  hasRelease: boolean;
  /** Why the other repository could not be fetched, if nothing else failed. */
  unfetched: DpError | null;
}

/** Sets an app up, or changes what differs. Throws DpError "usage" for a port that another app has. */
export async function setup(name: string, options: SetupOptions, io: Io): Promise<SetupResult> {
  const named = namedApp(name);
  requireRights();
  if (options.url !== undefined) addressOf(options.url);
  await requireValid(options);
  const chosen = await choose(named, options);
  const managed = await manager(chosen.manager);
  const why = await managed.unavailable(chosen.path);
  if (why) throw new DpError("host", `manager ${managed.name}: ${why}`, { hint: `dp setup ${name} --manager builtin` });

  // All mistakes in the request are reported before anything is made.
  const user = isServer() ? (chosen.user ?? userOf(name)) : undefined;
  const { config } = named.places;
  const before = await readText(config);
  const was = before === null ? undefined : await openApp(name);
  const text = await configText(named, { ...options, ...chosen, ...(user ? { user } : {}) });
  await requireFree(was, await withServer(named, parseServerConfig(text, config, await serverKinds())));
  const changes: string[] = [];
  if (user === userOf(name) && (await setupUser(name, io))) changes.push(`made the system user ${user}`);
  changes.push(...(await setupBase(named, user)));
  const differing = await writeConfig(named, text);
  if (differing === null) changes.push(`wrote ${config}`);
  const app = await openApp(name);
  const { server } = app;
  changes.push(...(await setupBuilder(app, io)), ...(await sealAll(app, true, io)));
  changes.push(...(await setupEnvFile(app)));
  changes.push(...(await setupRepository(app, server.branch, io)));
  await reservePorts(app, app.front.holdsPort ? null : server.port);
  changes.push(...(await managed.setup(managedApp(app), io)));
  const isLive = (await app.live()) !== null;
  const held = await holdPort(app, { before, was, isLive }, io);
  changes.push(...changeLines(name, differing ?? [], isLive, held.later), ...held.changes);
  await checkSetup(app, io);
  await recordSetup(app);
  // Last, so that without a network everything else is done and the app can be pushed to.
  const unfetched = options.url === undefined ? null : await fetched(app, options.url, changes, io);
  const isElsewhere = held.later !== null && (differing ?? []).some(({ key }) => isOfRoute(key));
  return { changes, server, isLive: isLive && !isElsewhere, hasRelease: isLive, unfetched };
}

function managedApp({ name, places: { base }, server }: App): ManagedApp {
  const { user, stopTimeout, path, settings: operator } = server;
  return { app: name, base, user, stopTimeout, path, operator };
}

interface Port {
  /** The former text of config.yml. */
  before: string | null;
  was: App | undefined;
  isLive: boolean;
}

/** Makes the front hold the port; if that fails, config.yml is restored. */
async function holdPort(app: App, { before, was, isLive }: Port, io: Io) {
  const { name, front } = app;
  try {
    if (isLive && was) return await moveRoute(was, app, io);
    return { changes: await front.setup(await routeOf(app), io), later: null };
  } catch (error) {
    await restoreConfig(app, before);
    if (!isLive) await front.remove(name, io).catch(() => undefined); // the front's own error is reported already
    throw error;
  }
}

/** Fetches from the other repository and adds to the changes; if that fails, answers why. */
async function fetched(app: App, url: string, changes: string[], io: Io) {
  const { name } = app;
  const { branch } = app.server;
  try {
    changes.push(`fetched ${branch} from ${await fetchFrom(app, url, branch, io)}`);
    return null;
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "command") throw error;
    const { url: address } = addressOf(url);
    const said = [error.message, ...error.lines];
    return new DpError(
      "command",
      `${address} could not be fetched; all else of ${name} is in place, and it can be pushed to`,
      {
        lines: said,
        hint: `dp setup ${name} ${address} tries again`,
        cause: error,
      },
    );
  }
}

function requireRights(): void {
  if (isServer() || root() !== "") return;
  throw new DpError("host", "dp setup needs root: it creates a user, folders in /opt and /var, and a unit", {
    hint: "sudo dp setup …, or DP_ROOT=DIR dp setup … to try it without root",
  });
}

async function setupEnvFile({ name, places, server }: App): Promise<string[]> {
  const path = envFile(places.base, server.env);
  const text = await readText(path);
  if (text === null)
    await writeFileAtomic(path, `# Settings of ${name}: NAME=value, one a line. The next deploy uses them.\n`, 0o600);
  return text === null ? [`made ${path}, for the app's settings`] : [];
}
