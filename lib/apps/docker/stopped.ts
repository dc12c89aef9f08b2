// The note that dp stopped a container: its exit code then reports the signal, not the app's own end.
import { mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { removeFile, writeFileAtomic } from "../../host/files.ts";
import { places } from "../../paths.ts";
import type { InstanceName } from "../../host/instance.ts";

const noteOf = ({ app, id }: InstanceName) => join(places(app).instances, `${id}.stopped`);

export const wasStopped = (name: InstanceName) => existsSync(noteOf(name));

export async function noteStop(name: InstanceName): Promise<void> {
  await mkdir(places(name.app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(noteOf(name), "", 0o600);
}

/** Removes the note. Safe to repeat. */
export async function forgetStop(name: InstanceName): Promise<void> {
  await removeFile(noteOf(name));
}
