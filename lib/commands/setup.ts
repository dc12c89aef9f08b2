// `dp setup`: everything an app needs on the server before its first push; safe to repeat.
import { parseServerConfig } from "../config/config.ts";
import { readServer } from "../config/server.ts";
import type { ServerConfig } from "../config/types.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { setupUser, userOf } from "../host/users.ts";
import { appName, envFile, places, root } from "../paths.ts";
import { front, manager } from "../registry.ts";
import { liveId } from "../release/history.ts";
import { routeOf } from "../release/route.ts";
import { setupBase } from "../setup/base.ts";
import { changeLines, isOfRoute, moveRoute, requireFree } from "../setup/live-port.ts";
import { addressOf, fetchFrom } from "../setup/origin.ts";
import { recordSetup } from "../setup/record.ts";
import { setupRepository } from "../setup/repository.ts";
import { serverKinds } from "../config/kinds.ts";
import { choose, configText, isServer, restoreConfig, writeConfig, type SetupOptions } from "../setup/server-config.ts";
import { checkSetup } from "../setup/setup-check.ts";

export interface SetupResult {
  /** One sentence for each thing that was made or changed; empty when all was as asked. */
  changes: string[];
  server: ServerConfig;
  /** Whether the live release answers at the address that config.yml names. */
  isLive: boolean;
  /** Why the other repository could not be fetched, when that was all that failed. */
  unfetched: DpError | null;
}

/** Sets an app up, or changes what differs. Throws DpError "usage" for a port that another app has. */
export async function setup(name: string, options: SetupOptions, io: Io): Promise<SetupResult> {
  const app = appName(name);
  requireRights();
  if (options.url !== undefined) addressOf(options.url);
  const chosen = await choose(app, options);
  const managed = await manager(chosen.manager);
  const why = await managed.unavailable(chosen.path);
  if (why) throw new DpError("host", `manager ${managed.name}: ${why}`, { hint: `dp setup ${app} --manager builtin` });

  // Whatever is wrong with what was asked for is said before anything is made.
  const user = isServer() ? (chosen.user ?? userOf(app)) : undefined;
  const before = await readText(places(app).config);
  const was = before === null ? undefined : await readServer(app);
  const text = await configText(app, { ...options, ...chosen, ...(user ? { user } : {}) });
  await requireFree(app, was, parseServerConfig(text, places(app).config, await serverKinds()));
  const changes: string[] = [];
  if (user === userOf(app) && (await setupUser(app, io))) changes.push(`made the system user ${user}`);
  changes.push(...(await setupBase(app, user)));
  const differing = await writeConfig(app, text);
  if (differing === null) changes.push(`wrote ${places(app).config}`);
  const server = await readServer(app);
  changes.push(...(await setupEnvFile(app, server.env)));
  changes.push(...(await setupRepository(app, server.branch, io)));
  const { base } = places(app);
  changes.push(
    ...(await managed.setup({ app, base, user: server.user, stopTimeout: server.stopTimeout, path: server.path }, io)),
  );
  const isLive = (await liveId(app)) !== null;
  const held = await holdPort(app, { before, was, server, isLive }, io);
  changes.push(...changeLines(app, differing ?? [], isLive, held.later), ...held.changes);
  await checkSetup(app, server, io);
  await recordSetup(app);
  // At the end: without a network all else is done, and the app can be pushed to.
  const unfetched = options.url === undefined ? null : await fetched(app, options.url, server, changes, io);
  const isElsewhere = held.later !== null && (differing ?? []).some(({ key }) => isOfRoute(key));
  return { changes, server, isLive: isLive && !isElsewhere, unfetched };
}

interface Port {
  /** The text of config.yml before. */
  before: string | null;
  was: ServerConfig | undefined;
  server: ServerConfig;
  isLive: boolean;
}

/** Makes the front hold the port; when that cannot be, config.yml is as it was. */
async function holdPort(app: string, { before, was, server, isLive }: Port, io: Io) {
  try {
    if (isLive && was) return await moveRoute(app, was, server, io);
    return { changes: await (await front(server.front)).setup(await routeOf(app, server), io), later: null };
  } catch (error) {
    await restoreConfig(app, before);
    if (!isLive) await (await front(server.front)).remove(app, io).catch(() => undefined); // the front's own error has been told
    throw error;
  }
}

/** Fetches from the other repository; answers why it could not be, else adds to the changes. */
async function fetched(app: string, url: string, { branch }: ServerConfig, changes: string[], io: Io) {
  try {
    changes.push(`fetched ${branch} from ${await fetchFrom(app, url, branch, io)}`);
    return null;
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "command") throw error;
    const { url: address } = addressOf(url);
    const said = [error.message, ...error.lines];
    return new DpError(
      "command",
      `${address} could not be fetched; all else of ${app} is in place, and it can be pushed to`,
      {
        lines: said,
        hint: `dp setup ${app} ${address} tries again`,
        cause: error,
      },
    );
  }
}

function requireRights(): void {
  if (isServer() || root() !== "") return;
  throw new DpError("host", "dp setup needs root: it makes a user, folders under /opt and /var, and a unit", {
    hint: "sudo dp setup …, or DP_ROOT=DIR dp setup … to try it without root",
  });
}

async function setupEnvFile(app: string, env: string): Promise<string[]> {
  const path = envFile(places(app).base, env);
  const text = await readText(path);
  if (text === null)
    await writeFileAtomic(path, `# Settings of ${app}: NAME=value, one a line. The next deploy uses them.\n`, 0o600);
  return text === null ? [`made ${path}, for the app's settings`] : [];
}
