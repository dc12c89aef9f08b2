// Loads a configuration into HAProxy: validates it, puts it in place, reloads, and restores the previous one on failure.
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

/** The owner of the folder and its files when somebody besides dp must read them: the service's user, once it exists. */
async function reader(): Promise<{ owner?: [uid: number, gid: number] }> {
  return isService() && userExists(USER) ? { owner: [0, (await idsOf(USER))[1]] } : {};
}

/** Makes the folder, closed to all but dp and HAProxy's own user, who can read it. */
export async function makeFolder(): Promise<void> {
  const { folder } = filesOf();
  const { owner } = await reader();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // HAProxy's user must be able to pass through the parent folder.
  if (owner) await chmod(dirname(folder), 0o755);
  if (owner) await chown(folder, ...owner);
  await chmod(folder, owner ? 0o750 : 0o700);
}

async function write(path: string, text: string): Promise<void> {
  const { owner } = await reader();
  await writeFileAtomic(path, text, owner ? 0o640 : 0o600, owner);
}

/** Whether the files on disk are what follows from the routes. */
export async function isInPlace(routes: Routes): Promise<boolean> {
  const { config, lua } = filesOf();
  const isConfig = (await readText(config)) === (await configText(routes));
  return isConfig && (await readText(lua)) === (await template("haproxy/dp.lua"));
}

/** One sentence for each server-wide part of HAProxy that is not as this dp would make it from the routes. */
export async function driftFrom(routes: Routes): Promise<string[]> {
  const { folder } = filesOf();
  return [
    ...((await isInPlace(routes)) ? [] : [`the configuration of HAProxy in ${folder} is not as this dp writes it`]),
    ...(isService() ? await unitDrift() : []),
    ...((await processes()) === null ? ["HAProxy does not run"] : []),
  ];
}

/**
 * Writes the routes, and the configuration for HAProxy's next start. The configuration differs only in numbers from the
 * one that was validated. The caller changes the running HAProxy.
 */
export async function keep(routes: Routes): Promise<void> {
  // After a power cut one may be on disk without the other: the next setup notices.
  await Promise.all([writeRoutes(routes), write(filesOf().config, await configText(routes))]);
}

/** Starts or reloads HAProxy with the routes. Throws DpError "host" after restoring the previous state. */
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
    // HAProxy must not find a configuration at its next start that it could not load.
    await keep(before);
    // A master whose reload failed has only old workers until it reloads again.
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

/** Stops HAProxy when no app is left. Safe to repeat. */
export async function stop(io: Io): Promise<void> {
  await (isService() ? removeService(io) : stopSupervised());
}
