// Loads a configuration into HAProxy: validates it, puts it in place, reloads, and restores the previous one on failure.
import { chmod, chown, mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { DpError } from "../../errors.ts";
import { readText, removeFile, syncFolder, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { tail } from "../../host/process/output.ts";
import { template } from "../../host/template.ts";
import { idsOf, makeSystemUser, userExists } from "../../host/users.ts";
import { readBalancers, writeBalancers, type Balancers } from "./balancers.ts";
import { configText } from "./config.ts";
import { converge } from "./converge.ts";
import { listText, mapText, wantedOf } from "./domains.ts";
import { filesOf, haproxyProgram, isService, USER } from "./places.ts";
import { writeKept, type Kept } from "./routes.ts";
import { notRunning, processes, reload } from "./runtime.ts";
import { removeService, setUpService, startService, unitDrift } from "./service.ts";
import { startSupervised, stopSupervised } from "./supervised.ts";

const PATIENCE = 10_000;

/** The owner of the folder and its files when somebody besides dp must read them: the service's user, once it exists. */
async function reader(): Promise<{ owner?: [uid: number, gid: number] }> {
  return isService() && userExists(USER) ? { owner: [0, (await idsOf(USER))[1]] } : {};
}

/** Makes the folder, closed to all but dp and HAProxy's own user, who can read it. */
export async function makeFolder(): Promise<void> {
  const { folder } = filesOf();
  const { owner } = await reader();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // HAProxy's user must be able to pass through the parent folder, also to the answers to challenges.
  if (process.getuid?.() === 0) await chmod(dirname(folder), 0o755);
  if (owner) await chown(folder, ...owner);
  await chmod(folder, owner ? 0o750 : 0o700);
}

async function write(path: string, text: string): Promise<void> {
  const { owner } = await reader();
  await writeFileAtomic(path, text, owner ? 0o640 : 0o600, owner);
}

/** The files that HAProxy reads when it starts, as they follow from what is stored; the configuration is the first. */
async function textsOf(kept: Kept): Promise<[path: string, text: string][]> {
  const { config, lua, map, list } = filesOf();
  const files: [string, string][] = [
    [config, await configText(kept)],
    [lua, await template("haproxy/dp.lua")],
  ];
  if (kept.edge === null) return files;
  const wanted = await wantedOf(kept);
  return [...files, [map, mapText(wanted)], [list, listText(wanted)]];
}

/** Whether the files are in place that a reload would be needed for, and those that are changed without one. */
async function inPlace(kept: Kept): Promise<{ isLoaded: boolean; isAll: boolean }> {
  const texts = await textsOf(kept);
  const differing: string[] = [];
  for (const [path, text] of texts) if ((await readText(path)) !== text) differing.push(path);
  const { config, lua } = filesOf();
  return { isLoaded: !differing.some((path) => path === config || path === lua), isAll: differing.length === 0 };
}

/** One sentence for each server-wide part of HAProxy that is not as this dp would make it from what is stored. */
export async function driftFrom(kept: Kept): Promise<string[]> {
  const { folder } = filesOf();
  return [
    ...((await inPlace(kept)).isAll ? [] : [`the configuration of HAProxy in ${folder} is not as this dp writes it`]),
    ...(await daemonDrift()),
  ];
}

const daemonDrift = async (): Promise<string[]> => [
  ...(isService() ? await unitDrift() : []),
  ...((await processes()) === null ? ["HAProxy does not run"] : []),
];

/** Whether HAProxy has to read its configuration again, or to be started, to serve what is to be stored. */
export const needsLoad = async (kept: Kept): Promise<boolean> =>
  !(await inPlace(kept)).isLoaded || (await daemonDrift()).length > 0;

/**
 * Writes what is stored, and the files for HAProxy's next start. The configuration differs only in numbers from the one
 * that was validated. The caller changes the running HAProxy.
 */
export async function keep(kept: Kept): Promise<void> {
  const texts = await textsOf(kept);
  const differing = [];
  for (const [path, text] of texts) if ((await readText(path)) !== text) differing.push(write(path, text));
  // After a power cut one may be on disk without the other: the next setup notices.
  await Promise.all([writeKept(kept), ...differing]);
}

/** Writes what is stored, and gives the running HAProxy its domains. Throws DpError "host". */
export async function keepDomains(kept: Kept): Promise<void> {
  await keep(kept);
  if (kept.edge !== null) await converge(await wantedOf(kept));
}

/**
 * Starts or reloads HAProxy. Throws DpError "host" after restoring the previous state; `balancers`: those that there were,
 * when others are to be loaded.
 */
export async function load(kept: Kept, before: Kept, io: Io, balancers?: Balancers): Promise<string[]> {
  const { config } = filesOf();
  await makeFolder();
  for (const [path, text] of (await textsOf(kept)).slice(1)) await write(path, text);
  await write(`${config}.new`, await configText(kept));
  await validate(`${config}.new`, io);
  await rename(`${config}.new`, config);
  await syncFolder(filesOf().folder);
  await writeKept(kept);
  try {
    return await startOrReload(io);
  } catch (error) {
    // HAProxy must not find a configuration at its next start that it could not load.
    if (balancers) await writeBalancers(balancers);
    await keep(before);
    const isWanted = before.routes.size + (await readBalancers()).size > 0;
    // A master whose reload failed has only old workers until it reloads again.
    await (isWanted ? startOrReload(io) : stop(io));
    throw error;
  }
}

/** Makes the user of the service, who must be able to read its files. */
export async function makeUser(io: Io): Promise<string[]> {
  const isNew = isService() && (await makeSystemUser(USER, filesOf().folder, io));
  await makeFolder();
  return isNew ? [`made the system user ${USER}`] : [];
}

async function validate(config: string, io: Io): Promise<void> {
  const argv = [haproxyProgram() ?? "haproxy", "-c", "-f", config];
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
