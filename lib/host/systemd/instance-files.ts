// The files that an app's template unit reads for an instance: environment, script, and a link to its working folder.
import { existsSync, writeFileSync } from "node:fs";
import { chmod, chown, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { systemdEnv } from "./environment-file.ts";
import { removeFile, writeFileAtomic } from "../files.ts";
import { point } from "../link.ts";
import type { Startable } from "../instance.ts";
import { places } from "../../paths.ts";
import { isJob, releaseOf } from "../../text/ids.ts";
import { exportLines, jobScript, startScript } from "../process/command-line.ts";
import { makeFifo } from "../process/libc.ts";
import { idsOf } from "../users.ts";
import type { InstanceName } from "../instance.ts";

const filesOf = ({ app, id }: InstanceName) => {
  const stem = `${places(app).instances}/${id}`;
  return { env: `${stem}.env`, script: `${stem}.sh`, folder: `${stem}.folder` };
};

export const scriptOf = (name: InstanceName): string => filesOf(name).script;

/** A unit knows its instance only by name, and several instances start in the folder of one release. */
async function pointFolder(name: InstanceName, release: string): Promise<void> {
  await mkdir(places(name.app).instances, { recursive: true, mode: 0o711 });
  await point(filesOf(name).folder, release);
}

const releaseFor = ({ app, id }: InstanceName) => join(places(app).releases, releaseOf(id));
const groupOf = async (user: string | undefined) => (user === undefined ? 0 : (await idsOf(user))[1]);

const linesOf = ({ id, command, folder }: Startable) => `${(isJob(id) ? jobScript : startScript)(command, folder)}\n`;

/** Writes the files; only dp and the app's user can read them. */
export async function writeFiles(instance: Startable): Promise<void> {
  const files = filesOf(instance);
  await pointFolder(instance, releaseFor(instance));
  await writeFileAtomic(files.env, systemdEnv(instance.env), 0o600);
  await writeFileAtomic(files.script, linesOf(instance), 0o600);
  await chown(files.script, 0, await groupOf(instance.user));
  await chmod(files.script, 0o640);
}

/**
 * The same for an instance of which only the release is known: it has no environment, and its script is a pipe without a
 * writer. False: there is no such release.
 */
export async function waitingFiles(name: InstanceName & { user: string }): Promise<boolean> {
  const files = filesOf(name);
  const release = releaseFor(name);
  if (!existsSync(release)) return false;
  await pointFolder(name, release);
  // What a power cut leaves of these is written anew.
  writeFileSync(files.env, "", { mode: 0o600 });
  const temp = `${files.script}.tmp.${process.pid}`;
  await removeFile(temp);
  makeFifo(temp);
  await chown(temp, 0, await groupOf(name.user));
  await chmod(temp, 0o640);
  await rename(temp, files.script);
  return true;
}

/** The script of an instance, environment included; null: a shell would not take all of that as it is. */
export function shellText(instance: Startable): string | null {
  const exports = exportLines(instance.env);
  return exports === null ? null : `${exports}${linesOf(instance)}`;
}

/** Removes the files. Safe to repeat. */
export async function removeFiles(name: InstanceName): Promise<void> {
  for (const file of Object.values(filesOf(name))) await removeFile(file);
}
