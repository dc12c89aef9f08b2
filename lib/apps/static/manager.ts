// The manager of static apps: an instance is a folder that the static server serves, on its own port.
import { chmod, chown, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { idsOf } from "../../host/users.ts";
import { parseLine } from "../../host/supervisor/output.ts";
import { isService } from "../../host/daemon/service.ts";
import { DpError } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import type { Instance, Manager } from "../../contracts/manager.ts";
import { places } from "../../paths.ts";
import { sequenceOf } from "../../text/ids.ts";
import { tailFile } from "../../host/process/tail.ts";
import { unitLogs } from "../../host/systemd/journal.ts";
import { status as askStatus, syncSites } from "./client.ts";
import { givenNames } from "./given.ts";
import { olderTrees, treeOf } from "./older.ts";
import { endIdleStatic, ensureStatic, inItsTurn, serverGroup, serverUid, staticLog, UNIT } from "./service.ts";
import { siteIn } from "./settings.ts";
import { readSite, removeSite, siteNames, staticFolder, writeSite, type Site } from "./site.ts";
import type { InstanceName, InstanceStatus, LogOptions } from "../../host/instance.ts";
import { treeOf as filesOf } from "../../host/release-folder.ts";

async function siteOf(instance: Instance): Promise<Site> {
  const { app, id, config, env } = instance;
  const options = siteIn(config);
  if (options === undefined) throw new DpError("config", `deploy.yml of ${app}@${id} has no static.root`);
  const { root, keepAssets, ...rest } = options;
  const { releases } = places(app);
  return {
    app,
    id,
    ...treeOf(join(releases, filesOf(releases, id)), config, root),
    host: env["DP_HOST"] ?? "127.0.0.1",
    port: Number(env["PORT"]),
    options: rest,
    older: await olderTrees(instance, keepAssets),
    given: config.build === undefined ? null : await givenNames(instance),
    since: new Date().toISOString(),
  };
}

/** Gives only the static server access to a release: the parent folder belongs to dp, so the release is no link. */
async function letIn(release: string, user: string | undefined): Promise<void> {
  const group = await serverGroup();
  if (group === null) return;
  const { uid, gid } = await lstat(release);
  if (gid === group) return;
  if (uid !== 0 || user === undefined) return chown(release, uid, group);
  // A finished release, whose group changes now: its hooks get access as its owner, who must not write.
  await chmod(release, 0o550);
  await chown(release, (await idsOf(user))[0], group);
}

async function start(instance: Instance, io: Io): Promise<void> {
  const { app, id } = instance;
  const site = await siteOf(instance);
  await inItsTurn(async () => {
    await ensureStatic(io);
    await letIn(site.release, instance.user);
    await writeSite(staticFolder(), site);
  });
  const found = (await syncSites())?.sites.find((each) => each.app === app && each.id === id);
  if (found && found.error === null) return;
  await removeSite(staticFolder(), instance);
  const why = found?.error ?? "the static server ended";
  throw new DpError("command", `${app}@${id} cannot be served: ${why}`, {
    hint: "static.root in deploy.yml must name the folder to serve, as it is after the build",
  });
}

async function stop(name: InstanceName): Promise<void> {
  await removeSite(staticFolder(), name);
  await syncSites();
}

async function status({ app, id }: InstanceName): Promise<InstanceStatus> {
  const site = await readSite(staticFolder(), { app, id });
  const none = { pid: null, restarts: 0, since: null };
  if (site === null) return { ...none, state: "stopped", detail: "" };
  const now = await askStatus();
  if (now === null) return { ...none, state: "failed", detail: "the static server does not run" };
  const found = now.sites.find((each) => each.app === app && each.id === id);
  if (!found || found.error !== null) return { ...none, state: "failed", detail: found?.error ?? "it is not served" };
  return { state: "running", pid: now.pid, restarts: 0, since: site.since, detail: "" };
}

/** The file that names the instance to serve after a boot: reconcile stops the others. */
const enabledFile = (app: string) => join(places(app).instances, "enabled-static");

async function enable(app: string, [id]: readonly string[], io: Io): Promise<boolean> {
  if (id === undefined) {
    await endIdleStatic(io);
    return removeFile(enabledFile(app));
  }
  if ((await readText(enabledFile(app)))?.trim() === id) return false;
  await mkdir(places(app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(enabledFile(app), `${id}\n`, 0o600);
  return true;
}

async function enabled(app: string): Promise<string[]> {
  const id = (await readText(enabledFile(app)))?.trim();
  return id ? [id] : [];
}

/** How many lines of the log are searched for one instance. */
const HISTORY = 10_000;

/** The lines of the static server's log about the instance, with their times: all instances share one log. */
async function logs({ app, id }: InstanceName, options: LogOptions, io: Io): Promise<void> {
  const { lines, follow, onLine } = options;
  const mark = `${app}@${id}: `;
  const all: [text: string, time: string | null][] = [];
  const take = (line: string, time: string | null = null) => {
    if (!line.startsWith(mark)) return;
    const text = line.slice(mark.length);
    if (follow) onLine(text, time);
    else all.push([text, time]);
  };
  const whole = { ...options, lines: follow ? lines : HISTORY };
  if (isService()) await unitLogs(UNIT, { ...whole, onLine: take }, io);
  else await tailFile(staticLog(), { ...whole, onLine: (line) => take(...parseLine(line)) }, io);
  for (const line of lines === 0 ? [] : all.slice(-lines)) onLine(...line);
}

const manager: Manager = {
  name: "static",
  summary: "dp's own static server, one for all apps",
  unavailable: async () => (process.platform === "linux" ? null : "the static server needs Linux"),
  setup: async () => [],
  start,
  stop,
  status,
  async pids(name) {
    const { pid } = await status(name);
    return pid === null ? [] : [pid];
  },
  owner: serverUid,
  async instances(app) {
    const ids = (await siteNames(staticFolder(), app)).map(({ id }) => id);
    return ids.sort((a, b) => sequenceOf(a) - sequenceOf(b));
  },
  enable,
  enabled,
  async forget(name, io) {
    await removeSite(staticFolder(), name);
    await endIdleStatic(io);
  },
  remove: async (_app, io) => ((await endIdleStatic(io)) ? ["stopped the static server, which had no app left"] : []),
  logs,
};

export default manager;
