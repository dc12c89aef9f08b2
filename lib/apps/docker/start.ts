// Starting a release: a container made from its image, on the port that dp chose.
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import type { Instance } from "../../contracts/manager.ts";
import { isJob } from "../../text/ids.ts";
import { tail } from "../../host/process/output.ts";
import { docker } from "../../docker/client.ts";
import { containerOf } from "../../docker/container.ts";
import { containerPort, ownImageOf, type Image } from "../../docker/image.ts";
import { mountOptions, mountsOfInstance } from "../../docker/mounts.ts";
import { containerName, imageName, labelOptions } from "../../docker/names.ts";
import { commandArguments, confinement } from "../../docker/options.ts";
import { containerLimits } from "../../docker/config.ts";
import { withVariables } from "../../docker/variables.ts";
import type { InstanceName } from "../../host/instance.ts";

/** How often it is restarted after a crash before it is live, so that a crash loop fails within seconds. */
const RESTARTS = 5;
const TRIES = 5;

/** The environment inside, and the network options; only a web process has a port. */
function networkOf(instance: Instance, image: Image): { env: Record<string, string>; published: string[] } {
  const { PORT, DP_HOST = "127.0.0.1" } = instance.env;
  if (PORT === undefined) return { env: instance.env, published: [] };
  const { port } = containerPort(image, instance.config, Number(PORT));
  const env = { ...instance.env, PORT: String(port), DP_HOST: "0.0.0.0" };
  return { env, published: [`--publish=${DP_HOST}:${PORT}:${port}`] };
}

/** Makes and starts the container of an instance; none of that name may exist. Throws DpError "command". */
export async function startContainer(instance: Instance, io: Io): Promise<void> {
  const cannot = (why: string, lines: string[] = [], hint?: string) =>
    new DpError("command", `${instance.app}@${instance.id} cannot be started: ${why}`, {
      lines,
      ...(hint === undefined ? {} : { hint }),
    });
  const image = await ownImageOf(instance, io);
  if (image === null) {
    throw cannot(`there is no image ${imageName(instance)}`, [], `dp deploy ${instance.app} builds a new one`);
  }
  const { env, published } = networkOf(instance, image);
  const options = [
    `--name=${containerName(instance)}`,
    ...labelOptions(instance),
    ...(await confinement(containerLimits(instance.operator))),
    isJob(instance.id) ? "--restart=no" : `--restart=on-failure:${RESTARTS}`,
    `--stop-timeout=${Math.ceil(instance.stopTimeout / 1000)}`,
    ...published,
    ...mountOptions(await mountsOfInstance(instance, image)),
  ];
  const tried = await withVariables(instance, env, async (passed) => {
    const argv = ["create", ...options, ...passed.options, imageName(instance), ...commandArguments(instance.command)];
    const created = await docker(argv, io, { env: passed.env, check: false });
    return created.code === 0 ? docker(["start", containerName(instance)], io, { check: false }) : created;
  });
  if (tried.code === 0) return;
  await removeContainer(instance, io);
  // podman brings no init.
  const hint = tried.text.includes("container-init") ? "apt-get install catatonit" : undefined;
  throw cannot("docker refuses", tail(tried.text, 10), hint);
}

/** Removes the container of an instance with its anonymous volumes, even while it runs. Safe to repeat. */
export async function removeContainer(name: InstanceName, io: Io): Promise<void> {
  for (let tries = 1; (await containerOf(name)) !== null; tries++) {
    // The engine may refuse once if the container ends at the same moment.
    const check = tries === TRIES;
    await docker(["container", "rm", "--force", "--volumes", containerName(name)], io, { check });
    if (check) return;
  }
}
