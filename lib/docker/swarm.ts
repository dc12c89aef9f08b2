// The swarm of this server: whether it is a manager of one, its nodes, its services and their tasks.
import * as v from "valibot";
import { DpError } from "../errors.ts";
import { ask, listPath } from "./api.ts";

const info = v.object({
  Swarm: v.object({
    NodeID: v.optional(v.string(), ""),
    NodeAddr: v.optional(v.string(), ""),
    LocalNodeState: v.string(),
    ControlAvailable: v.optional(v.boolean(), false),
    Error: v.optional(v.string(), ""),
    Nodes: v.optional(v.number(), 0),
    Managers: v.optional(v.number(), 0),
    RemoteManagers: v.nullish(v.array(v.object({ Addr: v.string() }))),
  }),
});
export type Membership = v.InferOutput<typeof info>["Swarm"];

/** What this engine is in a swarm. */
export async function membership(): Promise<Membership> {
  return v.parse(info, await ask({ path: "/info" })).Swarm;
}

const node = v.object({
  ID: v.string(),
  Version: v.object({ Index: v.number() }),
  Spec: v.looseObject({
    Role: v.string(),
    Availability: v.string(),
    Labels: v.nullish(v.record(v.string(), v.string())),
  }),
  Description: v.object({ Hostname: v.string(), Engine: v.object({ EngineVersion: v.optional(v.string(), "") }) }),
  Status: v.object({ State: v.string(), Addr: v.optional(v.string(), "") }),
  ManagerStatus: v.nullish(
    v.object({ Leader: v.optional(v.boolean(), false), Reachability: v.string(), Addr: v.string() }),
  ),
});
export type Node = v.InferOutput<typeof node>;

/** The nodes, by name. */
export async function nodes(): Promise<Node[]> {
  const all = v.parse(v.array(node), await ask({ path: "/nodes" }));
  return all.sort((a, b) => a.Description.Hostname.localeCompare(b.Description.Hostname));
}

/** Why this server cannot run services, or null: Docker's answer, and for two managers the reason against them. */
export async function noManager(): Promise<string | null> {
  const { LocalNodeState, ControlAvailable, Managers, Error: error } = await membership();
  if (LocalNodeState !== "active")
    return error === "" ? "this server is in no swarm: dp swarm init" : `the swarm of this server: ${error}`;
  if (!ControlAvailable) return "this server is a worker of its swarm: run dp on a manager";
  if (Managers === 2) return TWO;
  return null;
}

/** Why two managers are refused. */
export const TWO =
  "the swarm has two managers, and the loss of either stops it: with one manager the loss of the other server does no harm, and three bear the loss of one; dp swarm join a third, or docker node demote one";

const service = v.object({
  ID: v.string(),
  Version: v.object({ Index: v.number() }),
  CreatedAt: v.string(),
  Spec: v.looseObject({
    Name: v.string(),
    Labels: v.optional(v.record(v.string(), v.string()), {}),
    TaskTemplate: v.looseObject({ ContainerSpec: v.looseObject({ Image: v.string() }) }),
    Mode: v.looseObject({ Replicated: v.optional(v.object({ Replicas: v.number() })) }),
  }),
  UpdateStatus: v.nullish(
    v.object({
      State: v.optional(v.string(), ""),
      StartedAt: v.nullish(v.string()),
      Message: v.optional(v.string(), ""),
    }),
  ),
});
export type Service = v.InferOutput<typeof service>;

/** A service by its name, or null. */
export async function serviceOf(name: string): Promise<Service | null> {
  const found = await ask({ path: `/services/${name}` });
  return found === null ? null : v.parse(service, found);
}

/** The services with all of these labels. */
export async function servicesWith(labels: Readonly<Record<string, string>>): Promise<Service[]> {
  const label = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return v.parse(v.array(service), await ask({ path: listPath("/services", { label }) }));
}

const task = v.object({
  ID: v.string(),
  CreatedAt: v.string(),
  ServiceID: v.string(),
  Slot: v.optional(v.number(), 0),
  NodeID: v.optional(v.string(), ""),
  DesiredState: v.string(),
  Status: v.object({
    State: v.string(),
    Timestamp: v.string(),
    Err: v.optional(v.string(), ""),
    ContainerStatus: v.nullish(
      v.object({
        ContainerID: v.optional(v.string(), ""),
        PID: v.optional(v.number(), 0),
        ExitCode: v.optional(v.number(), 0),
      }),
    ),
  }),
});
export type Task = v.InferOutput<typeof task>;

/** The tasks of a service, oldest first; Docker keeps the last few of each. */
export async function tasksOf({ ID }: Pick<Service, "ID">): Promise<Task[]> {
  const all = v.parse(v.array(task), (await ask({ path: listPath("/tasks", { service: [ID] }) })) ?? []);
  return all.sort((a, b) => Date.parse(a.CreatedAt) - Date.parse(b.CreatedAt) || a.Slot - b.Slot);
}

/** The tasks on a node, of all services. */
export async function tasksOnNode(id: string): Promise<Task[]> {
  return v.parse(v.array(task), (await ask({ path: listPath("/tasks", { node: [id] }) })) ?? []);
}

const TRIES = 10;

interface Versioned<S> {
  ID: string;
  Version: { Index: number };
  Spec: S;
}

/** Changes the specification that `find` finds, if any; both are called again when somebody else was faster. */
async function update<S>(
  kind: "services" | "nodes",
  find: () => Promise<Versioned<S> | null | undefined>,
  change: (spec: S) => void,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const found = await find();
    if (!found) return;
    change(found.Spec);
    const path = `/${kind}/${found.ID}/update?version=${found.Version.Index}`;
    try {
      await ask({ method: "POST", path, body: found.Spec });
      return;
    } catch (error) {
      if (!(error instanceof DpError) || !/out of sequence/.test(error.message) || tries === TRIES) throw error;
    }
  }
}

/** Changes the specification of a service; `change` is called again when somebody else was faster. */
export const updateService = (name: string, change: (spec: Service["Spec"]) => void) =>
  update("services", () => serviceOf(name), change);

/** The same for a node, by its ID. */
export const updateNode = (id: string, change: (spec: Node["Spec"]) => void) =>
  update("nodes", async () => (await nodes()).find(({ ID }) => ID === id), change);

/** Removes a node from the swarm, whether it still answers or not. Safe to repeat. */
export async function removeNode(id: string): Promise<void> {
  await ask({ method: "DELETE", path: `/nodes/${id}?force=true` });
}

/** Removes a service. Safe to repeat. */
export async function removeService(name: string): Promise<void> {
  await ask({ method: "DELETE", path: `/services/${name}` });
}

const ENDED = new Set(["complete", "shutdown", "failed", "rejected", "remove", "orphaned"]);
const UNBORN = new Set(["new", "allocated", "pending", "assigned", "accepted", "ready"]);

/** Whether a task has come to its end. */
export const hasEnded = ({ Status }: Task) => ENDED.has(Status.State);
/** Whether a task has no container yet. */
export const isUnborn = ({ Status }: Task) => UNBORN.has(Status.State);
/** Whether its container runs. With a health check of the image a task is "starting" until that succeeds. */
export const isUp = ({ Status, DesiredState }: Task) =>
  (DesiredState === "running" || DesiredState === "complete") &&
  (Status.State === "running" || (Status.State === "starting" && (Status.ContainerStatus?.PID ?? 0) > 0));
