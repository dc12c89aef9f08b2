// A service of dp's with one HAProxy on each node: its specification, and waiting until it runs everywhere.
import { DpError } from "../../errors.ts";
import { ask } from "../../docker/api.ts";
import { programImage } from "../../docker/program-image.ts";
import { hasEnded, nodes, serviceOf, tasksOf, type Node, type Task } from "../../docker/swarm.ts";
import type { Io } from "../../host/io.ts";
import type { ConfigUse } from "./configs.ts";
import { referenceOf } from "./image.ts";
import { nodeLabels, SOCKETS, socketsVolume } from "./node-names.ts";

/** Nanoseconds in a millisecond: Docker's times. */
const MS = 1_000_000;
/** How long nodes may take to get HAProxy's image and to start it, in ms. */
const PATIENCE = 120_000;
/** How often it may end on a node before that is an error. */
const CRASHES = 3;
const LOOK = 100;

/** What differs between the services. Times in ms. */
export interface OnNodes {
  app: string;
  name: string;
  labels: Record<string, string>;
  config: ConfigUse;
  env: string[];
  stopTimeout: number;
  /** The app's network; missing: none of the swarm. */
  network?: string;
  /** The port that each node opens, and the one in the container. */
  port?: { published: number; inside: number };
}

/** The image of HAProxy as the nodes get it. */
export const haproxyReference = async (io: Io) => referenceOf(await programImage("haproxy", io), false, io);

/** The specification of a service, as Docker's API takes it. */
export function onNodes(service: OnNodes, image: string): Record<string, unknown> {
  const { app, name, config, env, stopTimeout, network, port } = service;
  const labels = { ...nodeLabels(app), ...service.labels };
  const container = {
    Image: image,
    Args: ["-f", config.File.Name],
    Env: env,
    Labels: labels,
    Configs: [config],
    // HAProxy's own signal for an orderly end.
    StopSignal: "SIGUSR1",
    StopGracePeriod: stopTimeout * MS,
    ReadOnly: true,
    CapabilityDrop: ["ALL"],
    Mounts: [{ Type: "volume", Source: socketsVolume(app), Target: SOCKETS }],
  };
  const task = {
    ContainerSpec: container,
    ...(network === undefined ? {} : { Networks: [{ Target: network }] }),
    Resources: { Limits: { Pids: 64 } },
    RestartPolicy: { Condition: "any", Delay: 500 * MS },
    LogDriver: { Name: "json-file", Options: { "max-size": "1m", "max-file": "1" } },
  };
  const ports = port && [
    { Protocol: "tcp", TargetPort: port.inside, PublishedPort: port.published, PublishMode: "host" },
  ];
  return {
    Name: name,
    Labels: labels,
    TaskTemplate: task,
    Mode: { Global: {} },
    EndpointSpec: { Mode: "dnsrr", ...(ports && { Ports: ports }) },
    // One node after the other: the port of a node can be held only once.
    UpdateConfig: { Parallelism: 1, Delay: 2_000 * MS, Order: "stop-first", FailureAction: "pause" },
  };
}

/** Makes a service. */
export async function createOnNodes(spec: Record<string, unknown>, io: Io): Promise<void> {
  await ask({ method: "POST", path: "/services/create", body: spec, signal: io.signal });
}

const isEligible = ({ Spec, Status }: Node) => Spec.Availability === "active" && Status.State === "ready";

/** Waits until a service runs on every node that is there. Throws DpError "command" when it does not start on one. */
export async function runningOnNodes(name: string, io: Io): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const service = await serviceOf(name);
    if (service === null) throw new DpError("command", `the service ${name} was removed meanwhile`);
    const [tasks, wanted] = [await tasksOf(service), (await nodes()).filter(isEligible)];
    const missing = wanted.find(({ ID }) => !tasks.some((task) => task.NodeID === ID && isRunning(task)));
    if (missing === undefined) return;
    const own = tasks.filter(({ NodeID }) => NodeID === missing.ID);
    if (performance.now() > end || own.filter(isCrash).length >= CRASHES) throw notOn(missing, name, own);
    await io.sleep(LOOK);
  }
}

const isRunning = ({ DesiredState, Status }: Task) => DesiredState === "running" && Status.State === "running";
const isCrash = (task: Task) => hasEnded(task) && ["failed", "rejected", "complete"].includes(task.Status.State);

function notOn({ Description }: Node, name: string, tasks: readonly Task[]): DpError {
  const said = tasks.findLast(({ Status }) => Status.Err !== "")?.Status.Err;
  return new DpError("command", `the service ${name} does not start on ${Description.Hostname}`, {
    lines: said === undefined ? [] : [said],
    hint: `docker service ps --no-trunc ${name}`,
  });
}
