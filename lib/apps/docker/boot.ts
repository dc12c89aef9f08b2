// Which container starts at boot: its restart policy decides, or where podman lacks that, a note that dp reconcile
// follows.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { places } from "../../paths.ts";
import { docker, isPodman } from "../../docker/client.ts";
import { containersOf, type Container } from "../../docker/container.ts";
import { containerName } from "../../docker/names.ts";
import type { InstanceName } from "../../host/instance.ts";

const noteOf = (app: string) => join(places(app).instances, "enabled-container");

const TRIES = 10;
const PAUSE = 200;

/** Sets the restart policy of a container; answers whether it was another one before. */
export async function setPolicy(name: InstanceName, found: Container, policy: string, io: Io): Promise<boolean> {
  if (found.HostConfig.RestartPolicy.Name === policy) return false;
  const argv = ["container", "update", `--restart=${policy}`, containerName(name)];
  // The engine refuses this between a crash and the next start.
  for (let tries = 1; ; tries++) {
    const isLast = tries === TRIES;
    if ((await docker(argv, io, { check: isLast })).code === 0) return true;
    await io.sleep(PAUSE);
  }
}

/** Makes exactly these instances start at boot; answers whether anything changed. */
export async function enable(app: string, ids: readonly string[], io: Io): Promise<boolean> {
  if (await isPodman()) return noteEnabled(app, ids);
  const found = [...(await containersOf(app))];
  // The new one first: a power cut in between must not leave an app that nothing starts.
  const sorted = found.sort(([a], [b]) => Number(ids.includes(b)) - Number(ids.includes(a)));
  let isChanged = false;
  for (const [other, container] of sorted) {
    const policy = ids.includes(other) ? "unless-stopped" : "no";
    if (await setPolicy({ app, id: other }, container, policy, io)) isChanged = true;
  }
  return isChanged;
}

/** The instances that start at boot, as `enable` set them. */
export async function enabled(app: string): Promise<string[]> {
  if (await isPodman()) return ((await readText(noteOf(app))) ?? "").split("\n").filter(Boolean);
  const found = [...(await containersOf(app))];
  return found.filter(([, { HostConfig }]) => HostConfig.RestartPolicy.Name === "unless-stopped").map(([id]) => id);
}

// podman before version 5 starts no containers at boot; the unit of dp reconcile does it instead.
async function noteEnabled(app: string, ids: readonly string[]): Promise<boolean> {
  const file = noteOf(app);
  const text = ids.map((id) => `${id}\n`).join("");
  if (text === "") return removeFile(file);
  if ((await readText(file)) === text) return false;
  await mkdir(places(app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(file, text, 0o600);
  return true;
}
