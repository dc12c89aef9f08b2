// The specification of an instance's service, as Docker's API takes it.
import type { Instance } from "../../contracts/manager.ts";
import { containerLimits } from "../../docker/config.ts";
import { containerPort, type Image } from "../../docker/image.ts";
import { mountsOfInstance } from "../../docker/mounts.ts";
import { labels } from "../../docker/names.ts";
import { CAPABILITIES, commandArguments, PIDS } from "../../docker/options.ts";
import { ownVariables } from "../../docker/variables.ts";
import { bytesOf } from "../../config/size.ts";
import type { Limits } from "../../host/process/confine.ts";
import { isJob, isWeb, processOf } from "../../text/ids.ts";
import { networkName, serviceName } from "./names.ts";
import { isNative, nativeMounts, userOf, workFolder } from "./native.ts";
import { separate } from "./secrets.ts";
import { swarmSettings } from "./settings.ts";

/** Nanoseconds in a millisecond: Docker's times. */
const MS = 1_000_000;
/** The pause before a crashed task is started again, and between two looks of the image's own health check. */
const [PAUSE, LOOK] = [500, 1_000];

/** The process of an instance as config.yml names it: web, worker, cron. */
export const processName = (id: string) => processOf(id).split(".")[0]!;

/** The constraint on where an instance may run, or undefined. */
export const placeOf = ({ id, operator }: Pick<Instance, "id" | "operator">): string | undefined =>
  swarmSettings(operator).place[processName(id)];

/** The port of a web instance inside its tasks, or null. */
export function insidePort({ id, env, config }: Instance, image: Image): number | null {
  return isWeb(id) && env["PORT"] !== undefined ? containerPort(image, config, Number(env["PORT"])).port : null;
}

/** How many tasks an instance has. */
export const tasksWanted = ({ id, operator }: Pick<Instance, "id" | "operator">) =>
  isWeb(id) ? swarmSettings(operator).replicas : 1;

function resources({ memory, cpus, pids = PIDS }: Limits = {}) {
  return {
    Limits: {
      Pids: pids,
      ...(memory === undefined ? {} : { MemoryBytes: bytesOf(memory.toLowerCase())! }),
      ...(cpus === undefined ? {} : { NanoCPUs: Math.round(Number(cpus) * 1e9) }),
    },
  };
}

/** What differs between an image of a Dockerfile, and one of dp's without a system. */
async function kindSpec(instance: Instance, image: Image) {
  const args = commandArguments(instance.command);
  if (isNative(instance))
    return {
      Command: args,
      Dir: workFolder(instance),
      User: (await userOf(instance)).join(":"),
      ReadOnly: true,
      Mounts: nativeMounts(instance.app),
    };
  const mounts = await mountsOfInstance(instance, image);
  return {
    ...(args.length > 0 ? { Args: args } : {}),
    CapabilityAdd: CAPABILITIES.map((name) => `CAP_${name}`),
    Mounts: mounts.map(({ source, target }) => ({ Type: "bind", Source: source, Target: target })),
  };
}

/** What its containers are made of. */
async function containerSpec(instance: Instance, image: Image, reference: string) {
  const port = insidePort(instance, image);
  const told = port === null ? instance.env : { ...instance.env, PORT: String(port), DP_HOST: "0.0.0.0" };
  const { env, uses } = await separate(instance, isNative(instance) ? Object.entries(told) : ownVariables(told));
  return {
    Image: reference,
    ...(await kindSpec(instance, image)),
    Env: env,
    Labels: labels(instance),
    Init: true,
    CapabilityDrop: ["ALL"],
    StopGracePeriod: instance.stopTimeout * MS,
    // The image's own health check, if it has one, at a pace that a deploy can wait for.
    Healthcheck: { Interval: LOOK * MS },
    Secrets: uses,
  };
}

/** The specification of an instance whose image the nodes know by that reference. */
export async function specOf(instance: Instance, image: Image, reference: string): Promise<Record<string, unknown>> {
  const { app, id, operator } = instance;
  const constraint = placeOf(instance);
  const task = {
    ContainerSpec: await containerSpec(instance, image, reference),
    Networks: [{ Target: networkName(app) }],
    Resources: resources(containerLimits(operator)),
    RestartPolicy: isJob(id) ? { Condition: "none" } : { Condition: "any", Delay: PAUSE * MS },
    Placement: constraint === undefined ? {} : { Constraints: [constraint] },
    LogDriver: { Name: "json-file", Options: { "max-size": "10m", "max-file": "3" } },
  };
  const own = { Name: serviceName(instance), Labels: labels(instance), TaskTemplate: task };
  // Tasks are found by DNS alone: no IPVS, the same everywhere.
  const service = { ...own, EndpointSpec: { Mode: "dnsrr" } };
  if (isJob(id)) return { ...service, Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } } };
  return {
    ...service,
    Mode: { Replicated: { Replicas: tasksWanted(instance) } },
    // Only to stop it: a service is never changed in place.
    UpdateConfig: { Parallelism: 0, Order: "stop-first", FailureAction: "continue" },
  };
}
