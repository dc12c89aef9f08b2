// `dp setup`: everything an app needs on the server before its first push; safe to repeat.
import { existsSync } from "node:fs";
import { setupBase } from "../setup/base.ts";
import { parseServerConfig, setServerValues } from "../config/config.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { liveId } from "../release/history.ts";
import type { Io } from "../host/io.ts";
import { appName, envFile, places, root } from "../paths.ts";
import { front, manager } from "../registry.ts";
import { firstFree, portsOfOthers } from "../setup/public-port.ts";
import { fetchFrom } from "../setup/origin.ts";
import { recordSetup } from "../setup/record.ts";
import { setupRepository } from "../setup/repository.ts";
import { routeOf } from "../release/route.ts";
import { managerSettings, serverKinds } from "../config/kinds.ts";
import { usualOf } from "../config/declared.ts";
import { readServer } from "../config/server.ts";
import { render, schemaUrl, template } from "../host/template.ts";
import { setupUser, userOf } from "../host/users.ts";
import { checkSetup } from "../setup/setup-check.ts";
import type { ServerConfig } from "../config/types.ts";

export interface SetupOptions {
  url?: string;
  port?: number;
  manager?: string;
  /** What deploy.yml calls the app. */
  for?: string;
  env?: string;
  branch?: string;
  host?: string;
  front?: string;
}

export interface SetupResult {
  /** One sentence for each thing that was made or changed; empty when all was as asked. */
  changes: string[];
  server: ServerConfig;
}

/** Sets an app up, or changes what differs. Throws DpError "usage" for a port that another app has. */
export async function setup(name: string, options: SetupOptions, io: Io): Promise<SetupResult> {
  const app = appName(name);
  requireRights();
  const chosen = await choose(app, options);
  const managed = await manager(chosen.manager);
  const why = await managed.unavailable(chosen.path);
  if (why) throw new DpError("host", `manager ${managed.name}: ${why}`, { hint: `dp setup ${app} --manager builtin` });

  // Whatever is wrong with what was asked for is said before anything is made.
  const user = isServer() ? (chosen.user ?? userOf(app)) : undefined;
  const before = await readText(places(app).config);
  const text = await configText(app, { ...options, ...chosen, ...(user ? { user } : {}) });
  const changes: string[] = [];
  if (user === userOf(app) && (await setupUser(app, io))) changes.push(`made the system user ${user}`);
  changes.push(...(await setupBase(app, user)));
  changes.push(...(await writeConfig(app, text)));
  const server = await readServer(app);
  changes.push(...(await setupEnvFile(app, server.env)));
  changes.push(...(await setupRepository(app, server.branch, io)));
  const { base } = places(app);
  changes.push(
    ...(await managed.setup({ app, base, user: server.user, stopTimeout: server.stopTimeout, path: server.path }, io)),
  );
  // What serves stays as it is until the next deploy, which moves it to the front that config.yml names by then.
  if ((await liveId(app)) === null) changes.push(...(await takePort(app, server, before, io)));
  if (options.url !== undefined) {
    changes.push(`fetched ${server.branch} from ${await fetchFrom(app, options.url, server.branch, io)}`);
  }
  await checkSetup(app, server, io);
  await recordSetup(app);
  return { changes, server };
}

/** Makes the front hold the port; when that cannot be, config.yml is as it was `before`: the next setup must not want it again. */
async function takePort(app: string, server: ServerConfig, before: string | null, io: Io): Promise<string[]> {
  const holder = await front(server.front);
  try {
    return await holder.setup(await routeOf(app, server), io);
  } catch (error) {
    const { config } = places(app);
    if (before === null) await removeFile(config);
    else await writeFileAtomic(config, before, 0o600);
    await holder.remove(app, io).catch(() => undefined); // the front's own error has been told
    throw error;
  }
}

// Under DP_ROOT nothing outside of it is touched: no system user, and the app runs as whoever tries it.
const isServer = () => process.getuid?.() === 0 && root() === "";

function requireRights(): void {
  if (isServer() || root() !== "") return;
  throw new DpError("host", "dp setup needs root: it makes a user, folders under /opt and /var, and a unit", {
    hint: "sudo dp setup …, or DP_ROOT=DIR dp setup … to try it without root",
  });
}

interface Choice {
  port: number;
  manager: string;
  user?: string;
  /** For those without root: what works in their shell works in their deploys. */
  path?: string;
}

/** What is not asked for stays as it is; what never was gets a default that fits this server. */
async function choose(app: string, options: SetupOptions): Promise<Choice> {
  const now = existsSync(places(app).config) ? await readServer(app) : undefined;
  const taken = await portsOfOthers(app);
  const port = options.port ?? now?.port ?? (await firstFree(taken));
  const other = taken.get(port);
  if (other)
    throw new DpError("usage", `port ${port} belongs to the app "${other}"`, {
      hint: `the next free one is ${await firstFree(taken)}`,
    });
  const byDefault = now?.manager ?? (await firstManager());
  const path = isServer() || now ? now?.path : process.env["PATH"];
  return {
    port,
    manager: options.manager ?? byDefault,
    ...(now?.user ? { user: now.user } : {}),
    ...(path ? { path } : {}),
  };
}

/** The usual manager, or the first that this host can use. */
async function firstManager(): Promise<string> {
  const declared = await managerSettings();
  const usual = usualOf(declared);
  for (const name of [usual, ...Object.keys(declared)])
    if ((await (await manager(name)).unavailable()) === null) return name;
  return usual;
}

/** The config.yml that has those values. Throws DpError "config" for one that cannot be. */
async function configText(app: string, values: SetupOptions & Choice): Promise<string> {
  const { config } = places(app);
  const now = await readText(config);
  const { url: _, ...keys } = values;
  const from =
    now ??
    render(await template("config.yml"), {
      schema: schemaUrl("config.schema.json"),
      port: String(values.port),
      manager: values.manager,
    });
  const text = setServerValues(from, keys, config);
  parseServerConfig(text, config, await serverKinds());
  return text;
}

async function writeConfig(app: string, text: string): Promise<string[]> {
  const { config } = places(app);
  const now = await readText(config);
  const kinds = await serverKinds();
  const wanted = parseServerConfig(text, config, kinds);
  if (now === text) return [];
  await writeFileAtomic(config, text, 0o600);
  if (now === null) return [`wrote ${config}`];
  const before = parseServerConfig(now, config, kinds) as unknown as Record<string, unknown>;
  const differing = Object.entries(wanted).filter(([key, value]) => !Bun.deepEquals(before[key], value));
  return differing.map(
    ([key, value]) =>
      `${key} is ${value} now, it was ${before[key] ?? "not set"}; the next deploy uses it, or: dp restart ${app}`,
  );
}

async function setupEnvFile(app: string, env: string): Promise<string[]> {
  const path = envFile(places(app).base, env);
  const text = await readText(path);
  if (text === null)
    await writeFileAtomic(path, `# Settings of ${app}: NAME=value, one a line. The next deploy uses them.\n`, 0o600);
  return text === null ? [`made ${path}, for the app's settings`] : [];
}
