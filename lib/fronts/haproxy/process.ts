// HAProxy with a configuration: proven valid, put in place, loaded; and the one before again when that fails.
import { chmod, chown, mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { DpError } from "../../errors.ts";
import { readText, removeFile, syncFolder, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { tail } from "../../host/process/output.ts";
import { template } from "../../host/template.ts";
import { idsOf, makeSystemUser, userExists } from "../../host/users.ts";
import { configText } from "./config.ts";
import { filesOf, haproxyProgram, isService, USER } from "./places.ts";
import { writeRoutes, type KeptRoute } from "./routes.ts";
import { notRunning, processes, reload } from "./runtime.ts";
import { removeService, setUpService, startService, unitDrift } from "./service.ts";
import { startSupervised, stopSupervised } from "./supervised.ts";

const PATIENCE = 10_000;
type Routes = ReadonlyMap<string, KeptRoute>;

/** Who besides dp reads the folder, and is given its configuration: the service's user, once there is one. */
async function reader(): Promise<{ owner?: [uid: number, gid: number] }> {
  return isService() && userExists(USER) ? { owner: [0, (await idsOf(USER))[1]] } : {};
}

/** Makes the folder, closed to all but dp and HAProxy's own user, who reads it. */
export async function makeFolder(): Promise<void> {
  const { folder } = filesOf();
  const { owner } = await reader();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Its parent must let that user through.
  if (owner) await chmod(dirname(folder), 0o755);
  if (owner) await chown(folder, ...owner);
  await chmod(folder, owner ? 0o750 : 0o700);
}

async function write(path: string, text: string): Promise<void> {
  const { owner } = await reader();
  await writeFileAtomic(path, text, owner ? 0o640 : 0o600, owner);
}

/** Whether the files in place are what the routes amount to. */
export async function isInPlace(routes: Routes): Promise<boolean> {
  const { config, lua } = filesOf();
  const isConfig = (await readText(config)) === (await configText(routes));
  return isConfig && (await readText(lua)) === (await template("haproxy/dp.lua"));
}

/** What of HAProxy as a whole is not as the routes and this dp would have it: one sentence each. */
export async function driftFrom(routes: Routes): Promise<string[]> {
  const { folder } = filesOf();
  return [
    ...((await isInPlace(routes)) ? [] : [`the configuration of HAProxy in ${folder} is not as this dp writes it`]),
    ...(isService() ? await unitDrift() : []),
    ...((await processes()) === null ? ["HAProxy does not run"] : []),
  ];
}

/**
 * Keeps the routes, and what follows from them for HAProxy's next start: only numbers differ from the
 * configuration that was proven valid. What runs is changed by whoever calls.
 */
export async function keep(routes: Routes): Promise<void> {
  // Either may be there without the other after a power cut: the next setup sees it.
  await Promise.all([writeRoutes(routes), write(filesOf().config, await configText(routes))]);
}

/** Makes HAProxy run with the routes, by a reload or a start. Throws DpError "host", and all is as it was before. */
export async function load(routes: Routes, before: Routes, io: Io): Promise<string[]> {
  const { config, lua } = filesOf();
  const made =
    isService() && (await makeSystemUser(USER, filesOf().folder, io)) ? [`made the system user ${USER}`] : [];
  await makeFolder();
  await write(lua, await template("haproxy/dp.lua"));
  await write(`${config}.new`, await configText(routes));
  await validate(`${config}.new`, io);
  await rename(`${config}.new`, config);
  await syncFolder(filesOf().folder);
  await writeRoutes(routes);
  try {
    return [...made, ...(await startOrReload(io))];
  } catch (error) {
    // What HAProxy could not load must not be what it finds at its next start.
    await keep(before);
    // A master that could not load has no worker but an old one, until it loads again.
    await (before.size > 0 ? startOrReload(io) : stop(io));
    throw error;
  }
}

async function validate(config: string, io: Io): Promise<void> {
  const argv = [haproxyProgram() ?? "haproxy", "-c", "-q", "-f", config];
  const { code, text } = await io.run(argv, { check: false, quiet: true });
  if (code === 0) return;
  await removeFile(config);
  throw new DpError("host", "HAProxy refuses the configuration that dp wrote", { lines: tail(text, 10) });
}

async function startOrReload(io: Io): Promise<string[]> {
  const changes = isService() ? await setUpService(io) : [];
  const before = await processes();
  if (before === null) {
    await (isService() ? startService(io) : startSupervised());
    return [...changes, "started HAProxy"];
  }
  await reload();
  const known = new Set(before.workers.map(({ pid }) => pid));
  const end = performance.now() + PATIENCE;
  for (;;) {
    const now = await processes();
    if (now?.workers.some(({ pid, isCurrent }) => isCurrent && !known.has(pid))) return changes;
    if (now !== null && now.failed > before.failed) throw await failure();
    if (performance.now() > end) throw now === null ? notRunning() : await failure();
    await Bun.sleep(10);
  }
}

async function failure(): Promise<DpError> {
  const lines = isService() ? [] : tail((await readText(filesOf().log)) ?? "", 5);
  const hint = isService() ? "journalctl -u dp-haproxy" : `see ${filesOf().log}`;
  return new DpError("host", "HAProxy cannot load its new configuration; the previous one is still active", {
    lines,
    hint,
  });
}

/** Ends HAProxy: there is no app left. Safe to repeat. */
export async function stop(io: Io): Promise<void> {
  await (isService() ? removeService(io) : stopSupervised());
}
