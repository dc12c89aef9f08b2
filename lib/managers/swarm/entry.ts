// The way from this server to the tasks of a web instance: a HAProxy in the app's network, reached on 127.0.0.1 alone.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../../contracts/manager.ts";
import { docker } from "../../docker/client.ts";
import type { Image } from "../../docker/image.ts";
import { labelOptions } from "../../docker/names.ts";
import { programImage } from "../../docker/program-image.ts";
import { removeFile, writeFileAtomic } from "../../host/files.ts";
import type { InstanceName } from "../../host/instance.ts";
import type { Io } from "../../host/io.ts";
import { places } from "../../paths.ts";
import { entryName, networkName } from "./names.ts";
import { INSIDE, proxyText } from "./proxy.ts";

/** The file with the configuration of the way to an instance: of the entry here, and of those on each node. */
export const entryConfig = ({ app, id }: InstanceName) => join(places(app).instances, `${id}.haproxy.cfg`);

/** Makes and starts the way to a web instance. */
export async function startEntry(instance: Instance, image: Image, io: Io): Promise<void> {
  const { app, env } = instance;
  const program = await programImage("haproxy", io);
  await mkdir(places(app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(entryConfig(instance), await proxyText(instance, image), 0o600);
  await removeEntry(instance, io);
  const options = [
    `--name=${entryName(instance)}`,
    ...labelOptions(instance),
    `--network=${networkName(app)}`,
    ...[`--env=ENTRY=:${INSIDE}`, "--env=STATE=127.0.0.1:8001", "--env=FIRST=/none"],
    `--publish=127.0.0.1:${env["PORT"]}:${INSIDE}`,
    ...["--restart=unless-stopped", "--pull=never", "--read-only", "--pids-limit=64"],
    // The configuration is dp's, whose user may be another one than root.
    ...["--cap-drop=ALL", "--cap-add=DAC_OVERRIDE"],
    ...["--security-opt=no-new-privileges", "--log-driver=json-file", "--log-opt=max-size=1m"],
    `--mount=type=bind,source=${entryConfig(instance)},target=/haproxy.cfg,readonly`,
  ];
  await docker(["run", "--detach", ...options, program, "-f", "/haproxy.cfg"], io);
}

/** Removes the way; its configuration stays. Safe to repeat. */
export async function removeEntry(name: InstanceName, io: Io): Promise<void> {
  await docker(["container", "rm", "--force", entryName(name)], io, { check: false });
}

/** Removes what startEntry kept. Safe to repeat. */
export async function forgetEntry(name: InstanceName, io: Io): Promise<void> {
  await removeEntry(name, io);
  await removeFile(entryConfig(name));
}
