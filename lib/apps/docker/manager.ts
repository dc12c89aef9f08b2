// Containers as instances: one for each process of a release, made from that release's image.
import { codeOf, DpError, messageOf } from "../../errors.ts";
import { removeFile } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import type { Manager, Published } from "../../contracts/manager.ts";
import { compareInstances } from "../../text/ids.ts";
import { descendants, listeningIn } from "../../host/process/process.ts";
import { listenerUid } from "../../host/process/socket-owner.ts";
import { enable, enabled, setPolicy } from "./boot.ts";
import { imagesOf } from "../../docker/image.ts";
import { docker, isPodman, requireEngine } from "../../docker/client.ts";
import {
  containerOf,
  containersOf,
  isRunning,
  isWaiting,
  namesOf,
  publishedPorts,
  statusFrom,
} from "../../docker/container.ts";
import { containerLogs, keepLog } from "./logs.ts";
import { containerName } from "../../docker/names.ts";
import { removeContainer, startContainer } from "./start.ts";
import { forgetStop, noteStop, wasStopped } from "./stopped.ts";
import { variablesFile } from "../../docker/variables.ts";
import type { InstanceName, InstanceStatus } from "../../host/instance.ts";

async function unavailable(): Promise<string | null> {
  try {
    await requireEngine();
    return null;
  } catch (error) {
    if (codeOf(error) !== undefined || !(error instanceof DpError)) throw error;
    return [messageOf(error), error.hint].filter(Boolean).join(": ");
  }
}

async function stop(name: InstanceName, io: Io): Promise<void> {
  const found = await containerOf(name);
  if (found === null) return;
  await noteStop(name);
  await docker(["container", "stop", containerName(name)], io, { check: false });
  const left = await containerOf(name);
  if (left && (isRunning(left) || isWaiting(left)))
    throw new DpError("command", `the container ${containerName(name)} does not stop`, {
      hint: `docker rm -f ${containerName(name)}`,
    });
  // Otherwise it would start with the engine.
  if (left && !(await isPodman())) await setPolicy(name, left, "no", io);
}

async function status(name: InstanceName): Promise<InstanceStatus> {
  return statusFrom(await containerOf(name), wasStopped(name));
}

/** Its init and every process below: all processes of a container descend from its first one. */
async function pids(name: InstanceName): Promise<number[]> {
  const found = await containerOf(name);
  if (!found || !isRunning(found) || found.State.Pid === 0) return [];
  return descendants([found.State.Pid]).sort((a, b) => a - b);
}

async function published(name: InstanceName): Promise<Published> {
  const found = await containerOf(name);
  const ports = publishedPorts(found);
  // Docker's own resolver listens in every container of a named network.
  const listening = ports.length === 0 ? [] : listeningIn(found!.State.Pid);
  return {
    ports: ports.map(({ port }) => port),
    listening: listening.filter(({ address }) => address !== "127.0.0.11"),
    inside: ports[0]?.inside ?? null,
  };
}

// The engine's user: root, or the user of a rootless engine. It holds the port while the container runs.
async function owner(name: InstanceName, port: number): Promise<number | null> {
  return publishedPorts(await containerOf(name)).some((each) => each.port === port)
    ? listenerUid("127.0.0.1", port)
    : null;
}

async function instances(app: string): Promise<string[]> {
  const found = [...(await containersOf(app))];
  const alive = found.filter(([id, one]) => statusFrom(one, wasStopped({ app, id })).state !== "stopped");
  return alive.map(([id]) => id).sort(compareInstances);
}

/** The manager of the app type docker. */
export const containers: Manager = {
  name: "docker",
  summary: "containers of Docker or podman, one for each release",
  setup: async () => [],
  unavailable,
  stop,
  status,
  pids,
  published,
  owner,
  instances,
  enable,
  enabled,
  logs: containerLogs,
  async start(instance, io) {
    await stop(instance, io);
    await removeContainer(instance, io);
    await forgetStop(instance);
    await startContainer(instance, io);
  },
  async forget(name, io) {
    await keepLog(name, io);
    await removeContainer(name, io);
    await forgetStop(name);
    await removeFile(variablesFile(name));
  },
  async remove(app, io) {
    const left = await namesOf(app);
    for (const name of left) await docker(["container", "rm", "--force", "--volumes", name], io);
    const images = await imagesOf(app, io);
    for (const { image } of images) await docker(["image", "rm", image], io);
    return [...left.map((name) => `removed the container ${name}`), ...images.map(({ image }) => `removed ${image}`)];
  },
};
