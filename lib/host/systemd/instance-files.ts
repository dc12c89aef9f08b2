// The files that an app's template unit reads for an instance: environment, script, and a link to its working folder.
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemdEnv } from "./environment-file.ts";
import { removeFile, writeFileAtomic } from "../files.ts";
import { point } from "../link.ts";
import type { Startable } from "../instance.ts";
import { places } from "../../paths.ts";
import { isJob, releaseOf } from "../../text/ids.ts";
import { jobScript, startScript } from "../process/command-line.ts";
import { idsOf } from "../users.ts";
import type { InstanceName } from "../instance.ts";

const filesOf = ({ app, id }: InstanceName) => {
  const stem = `${places(app).instances}/${id}`;
  return { env: `${stem}.env`, script: `${stem}.sh`, folder: `${stem}.folder` };
};

/** Writes the files; only dp and the app's user can read them. */
export async function writeFiles(instance: Startable): Promise<void> {
  const files = filesOf(instance);
  const [, gid] = instance.user === undefined ? [0, 0] : await idsOf(instance.user);
  const { instances, releases } = places(instance.app);
  await mkdir(instances, { recursive: true, mode: 0o711 });
  // A unit knows its instance only by name, and several instances start in the folder of one release.
  await point(files.folder, join(releases, releaseOf(instance.id)));
  await writeFileAtomic(files.env, systemdEnv(instance.env), 0o600);
  const start = (isJob(instance.id) ? jobScript : startScript)(instance.command, instance.folder);
  await writeFileAtomic(files.script, `${start}\n`, 0o600);
  await chown(files.script, 0, gid);
  await chmod(files.script, 0o640);
}

/** Removes the files. Safe to repeat. */
export async function removeFiles(name: InstanceName): Promise<void> {
  for (const file of Object.values(filesOf(name))) await removeFile(file);
}
