// Docker Swarm as the manager: a service for each process of a release, with tasks on any node.
import { codeOf, DpError, messageOf } from "../errors.ts";
import type { Instance, Manager, Published } from "../contracts/manager.ts";
import { isPodman, requireEngine, docker } from "../docker/client.ts";
import { containerNamed, namesOf, publishedPorts } from "../docker/container.ts";
import { missingProgram } from "../docker/program-image.ts";
import { imagesOf } from "../docker/image.ts";
import {
  membership,
  noManager,
  nodes,
  removeService,
  serviceOf,
  servicesWith,
  tasksOf,
  isUp,
  updateService,
  type Service,
} from "../docker/swarm.ts";
import type { InstanceName, InstanceStatus, ManagedApp } from "../host/instance.ts";
import type { Io } from "../host/io.ts";
import { descendants, listeningIn } from "../host/process/process.ts";
import { listenerUid } from "../host/process/socket-owner.ts";
import { compareInstances } from "../text/ids.ts";
import { removeEntrance, removeSockets, renewEntrance } from "./swarm/entrance.ts";
import { forgetEntry } from "./swarm/entry.ts";
import { pruneSwarm, removeImages } from "./swarm/images.ts";
import { keepLog, serviceLogs } from "./swarm/logs.ts";
import { appLabels, ENABLED, entryName, serviceName } from "./swarm/names.ts";
import { isNative, requireShareable } from "./swarm/native.ts";
import { ensureNetwork, removeNetwork } from "./swarm/network.ts";
import { removeUnused } from "./swarm/secrets.ts";
import { withEntrances } from "./swarm/nodes-front.ts";
import { swarmSettings } from "./swarm/settings.ts";
import { placeOf, processName } from "./swarm/spec.ts";
import { forgetSpec, startService } from "./swarm/start.ts";
import { statusFrom } from "./swarm/status.ts";
import { stopService } from "./swarm/stop.ts";

async function unavailable(): Promise<string | null> {
  try {
    await requireEngine();
    if (await isPodman()) return "podman has no swarm";
    return (await noManager()) ?? (await missingProgram("haproxy"));
  } catch (error) {
    if (codeOf(error) !== undefined || !(error instanceof DpError)) throw error;
    return [messageOf(error), error.hint].filter(Boolean).join(": ");
  }
}

/** Refuses data of this server for a task that may run on another one. */
async function requireStartable(instance: Instance): Promise<void> {
  if (isNative(instance)) return requireShareable(instance);
  const { config } = instance;
  const shared = [...(config.shared?.dirs ?? []), ...(config.shared?.files ?? [])];
  if (shared.length === 0) return;
  const { NodeID } = await membership();
  const here = (await nodes()).find(({ ID }) => ID === NodeID)?.Description.Hostname ?? "";
  const process = processName(instance.id);
  const pinned = /^node\.hostname ?== ?(\S+)$/.exec(placeOf(instance) ?? "")?.[1];
  if (pinned === here) return;
  throw new DpError(
    "config",
    `${shared[0]} is shared between releases, and lies on this server alone: ${process} may run elsewhere`,
    {
      hint: `keep the data in a database, or tie the process to this server in config.yml: swarm: {place: {${process}: node.hostname==${here}}}`,
    },
  );
}

async function status(name: InstanceName): Promise<InstanceStatus> {
  const service = await serviceOf(serviceName(name));
  return statusFrom(service, service === null ? [] : await tasksOf(service));
}

/** The first processes of an instance's tasks on this server. */
async function mainPids(name: InstanceName): Promise<number[]> {
  const service = await serviceOf(serviceName(name));
  if (service === null) return [];
  const { NodeID } = await membership();
  const own = (await tasksOf(service)).filter((task) => task.NodeID === NodeID && isUp(task));
  return own.flatMap(({ Status }) => Status.ContainerStatus?.PID || []);
}

const pids = async (name: InstanceName) => descendants(await mainPids(name)).sort((a, b) => a - b);

async function published(name: InstanceName): Promise<Published> {
  const ports = publishedPorts(await containerNamed(entryName(name)));
  const [main] = await mainPids(name);
  const listening = main === undefined ? [] : listeningIn(main);
  return {
    ports: ports.map(({ port }) => port),
    listening: listening.filter(({ address }) => address !== "127.0.0.11"),
    // Which port the tasks must listen on is HAProxy's to know.
    inside: null,
  };
}

const idOf = ({ Spec }: Service) => Spec.Labels["dp.release"] ?? "";

async function instances(app: string): Promise<string[]> {
  const found = await servicesWith(appLabels(app));
  const states = await Promise.all(found.map(async (each) => statusFrom(each, await tasksOf(each)).state));
  return found
    .filter((_, index) => states[index] !== "stopped")
    .map(idOf)
    .sort(compareInstances);
}

async function enable(app: string, ids: readonly string[]): Promise<boolean> {
  let isChanged = false;
  for (const service of await servicesWith(appLabels(app))) {
    const isWanted = ids.includes(idOf(service));
    if (isWanted === ENABLED in service.Spec.Labels) continue;
    // Labels of a service are none of its tasks: nothing is started again.
    await updateService(service.Spec.Name, (spec) => {
      if (isWanted) spec.Labels = { ...spec.Labels, [ENABLED]: "1" };
      else delete spec.Labels[ENABLED];
    });
    isChanged = true;
  }
  return isChanged;
}

async function enabled(app: string): Promise<string[]> {
  return (await servicesWith(appLabels(app))).filter(({ Spec }) => ENABLED in Spec.Labels).map(idOf);
}

async function remove(app: string, io: Io): Promise<string[]> {
  const services = await servicesWith(appLabels(app));
  for (const { Spec } of services) await removeService(Spec.Name);
  const left = await namesOf(app);
  for (const name of left) await docker(["container", "rm", "--force", "--volumes", name], io, { check: false });
  const sent = await removeImages(app, io);
  const images = await imagesOf(app, io);
  for (const { image } of images) await docker(["image", "rm", "--force", image], io);
  const secrets = await removeUnused(app);
  const hadEntrance = await removeEntrance(app);
  const network = await removeNetwork(app);
  await removeSockets(app);
  return [
    ...services.map(({ Spec }) => `removed the service ${Spec.Name}`),
    ...left.map((name) => `removed the container ${name}`),
    ...images.map(({ image }) => `removed ${image}`),
    ...sent,
    ...(secrets > 0 ? [`removed ${secrets} secrets of the swarm`] : []),
    ...(hadEntrance ? ["closed the entrance of each node"] : []),
    ...network,
  ];
}

async function setup({ app, operator }: ManagedApp, io: Io): Promise<string[]> {
  const changes = (await ensureNetwork(app)) ? ["made its network in the swarm"] : [];
  if (swarmSettings(operator).entrance !== undefined) changes.push(...(await renewEntrance(app, io)));
  else if (await removeEntrance(app)) changes.push("closed the entrance of each node");
  return changes;
}

const swarm: Manager = {
  name: "swarm",
  summary: "services of Docker Swarm, with tasks on any node",
  types: ["docker", "python", "node"],
  ownNetwork: true,
  unavailable,
  requireStartable,
  setup,
  extend(front, { settings, drainTimeout }) {
    const { entrance } = swarmSettings(settings);
    return entrance === undefined ? front : withEntrances(front, entrance, drainTimeout);
  },
  async start(instance, io) {
    await requireStartable(instance);
    await stopService(instance, io);
    await removeService(serviceName(instance));
    await startService(instance, io);
  },
  stop: stopService,
  status,
  pids,
  published,
  owner: async (name, port) =>
    publishedPorts(await containerNamed(entryName(name))).some((each) => each.port === port)
      ? listenerUid("127.0.0.1", port)
      : null,
  instances,
  enable,
  enabled,
  logs: serviceLogs,
  async forget(name, io) {
    await keepLog(name, io);
    await removeService(serviceName(name));
    await forgetEntry(name, io);
    await forgetSpec(name);
    await removeUnused(name.app);
  },
  prune: pruneSwarm,
  remove,
};

export default swarm;
