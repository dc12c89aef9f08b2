// Stopping a service: it keeps its tasks' output until it is forgotten, and stays stopped when the servers start again.
import { DpError } from "../../errors.ts";
import {
  hasEnded,
  isUnborn,
  membership,
  nodes,
  removeService,
  serviceOf,
  tasksOf,
  updateService,
} from "../../docker/swarm.ts";
import type { InstanceName } from "../../host/instance.ts";
import type { Io } from "../../host/io.ts";
import { isJob } from "../../text/ids.ts";
import { removeEntry } from "./entry.ts";
import { keepLog } from "./logs.ts";
import { ENABLED, serviceName, STOPPED } from "./names.ts";

/** A constraint that no node meets: Docker then ends the tasks and keeps them, which it would not at a scale of 0. */
const NOWHERE = "node.id == nowhere";
const PATIENCE = 16 * 60_000;
const LOOK = 100;

/** Ends every task of an instance, and returns when none is left. Safe to repeat. */
export async function stopService(name: InstanceName, io: Io): Promise<void> {
  const service = await serviceOf(serviceName(name));
  await removeEntry(name, io);
  if (service === null) return;
  if (isJob(name.id)) return endJob(name, io);
  if (!(STOPPED in service.Spec.Labels))
    await updateService(serviceName(name), (spec) => {
      spec.Labels = { ...spec.Labels, [STOPPED]: "1" };
      delete spec.Labels[ENABLED];
      spec.TaskTemplate["Placement"] = { Constraints: [NOWHERE] };
    });
  await ended(name, io);
}

// A job that is changed would begin once more.
async function endJob(name: InstanceName, io: Io): Promise<void> {
  await keepLog(name, io);
  await removeService(serviceName(name));
}

async function ended(name: InstanceName, io: Io): Promise<void> {
  const end = performance.now() + PATIENCE;
  const lost = await lostNodes();
  for (;;) {
    const service = await serviceOf(serviceName(name));
    if (service === null) return;
    // A task on a node that is away is said to run until the node is back.
    const left = (await tasksOf(service)).filter(
      (task) => !hasEnded(task) && !isUnborn(task) && !lost.has(task.NodeID),
    );
    if (left.length === 0) return;
    if (performance.now() > end)
      throw new DpError("command", `the service ${serviceName(name)} does not stop`, {
        hint: `docker service rm ${serviceName(name)}`,
      });
    await io.sleep(LOOK);
  }
}

async function lostNodes(): Promise<Set<string>> {
  const { Nodes } = await membership();
  if (Nodes <= 1) return new Set();
  return new Set((await nodes()).filter(({ Status }) => Status.State !== "ready").map(({ ID }) => ID));
}
