// `dp swarm drain`, `ready`, `remove` and `leave`: a server is taken out of the swarm on purpose, without a failed request.
import { rm } from "node:fs/promises";
import { ask, listPath } from "../docker/api.ts";
import {
  hasEnded,
  isUnborn,
  isUp,
  membership,
  nodes,
  removeNode,
  servicesWith,
  tasksOnNode,
  updateNode,
  type Node,
  type Service,
} from "../docker/swarm.ts";
import { DpError } from "../errors.ts";
import { accessFolders } from "../managers/swarm/registry.ts";
import { root } from "../paths.ts";
import { isJob } from "../text/ids.ts";
import { restart } from "./restart.ts";
import { requireManager, requireSwarmEngine } from "./swarm.ts";

/** How long jobs on a server may take to end, and a manager to become a worker, in ms. */
const PATIENCE = 10 * 60_000;
const LOOK = 200;

const nameOf = ({ Description }: Node) => Description.Hostname;
const isReady = ({ Status }: Node) => Status.State === "ready";

/** The node with that name, ID or address. Throws DpError "usage". */
async function nodeNamed(word: string): Promise<Node> {
  const all = await nodes();
  const isMeant = (node: Node) => [nameOf(node), node.ID, node.Status.Addr].includes(word);
  const [found, other] = all.filter(isMeant);
  if (found === undefined)
    throw new DpError("usage", `the swarm has no server ${JSON.stringify(word)}: ${all.map(nameOf).join(", ")}`, {
      hint: "dp swarm",
    });
  if (other === undefined) return found;
  throw new DpError("usage", `several servers are called ${word}: use the address, or the ID`, {
    hint: "docker node ls",
  });
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isSo())) {
    if (performance.now() > end)
      throw new DpError("command", `${what} within ${PATIENCE / 60_000} minutes`, { hint: "dp swarm" });
    await Bun.sleep(LOOK);
  }
}

/** The services of apps with a task on that node; what every node has for itself does not move. */
async function servicesOn({ ID }: Node): Promise<Service[]> {
  const here = new Set((await tasksOnNode(ID)).filter(isUp).map(({ ServiceID }) => ServiceID));
  const own = await servicesWith({ "dp.root": root() || "/" });
  return own.filter((service) => here.has(service.ID) && appOf(service) !== "");
}

const isJobOf = ({ Spec }: Service) => isJob(Spec.Labels["dp.release"] ?? "");

const setAvailability = (id: string, wanted: "active" | "pause" | "drain") =>
  updateNode(id, (spec) => void (spec.Availability = wanted));

/** Restarts the apps with tasks on a node that takes no new ones: as in a deploy, the new tasks answer before the old ones end. */
async function moveApps(node: Node): Promise<string[]> {
  const apps = new Set((await servicesOn(node)).filter((each) => !isJobOf(each)).map(appOf));
  for (const app of [...apps].sort()) {
    const { code } = await restart(app);
    if (code !== 0)
      throw new DpError("command", `${app} could not be moved away from ${nameOf(node)}, and still runs there`, {
        hint: `dp logs ${app}`,
      });
  }
  return [...apps].sort();
}

const appOf = ({ Spec }: Service) => Spec.Labels["dp.app"] ?? "";

/** Moves everything away from a server of the swarm, and keeps new tasks away; answers what was done. */
export async function drain(word: string): Promise<string[]> {
  await requireManager();
  const node = await nodeNamed(word);
  const name = nameOf(node);
  const others = (await nodes()).filter(({ ID, Spec }) => ID !== node.ID && Spec.Availability === "active");
  if (!others.some(isReady))
    throw new DpError("host", `${name} is the only server of the swarm that takes tasks`, { hint: "dp swarm" });
  const before = node.Spec.Availability as "active" | "pause" | "drain";
  if (before !== "drain") await setAvailability(node.ID, "pause");
  try {
    const moved = await moveApps(node);
    await until(`a job on ${name} has not ended`, async () => !(await servicesOn(node)).some(isJobOf));
    await setAvailability(node.ID, "drain");
    // Not only told to end: a node that is removed is told nothing any more, and would keep what it still runs.
    const hasNone = async () => (await tasksOnNode(node.ID)).every((task) => hasEnded(task) || isUnborn(task));
    await until(`${name} still runs tasks`, async () => !isReady(node) || (await hasNone()));
    return [`${name} runs nothing of the swarm any more${moved.length > 0 ? `; moved: ${moved.join(", ")}` : ""}`];
  } catch (error) {
    await setAvailability(node.ID, before);
    throw error;
  }
}

/** Lets a drained server have tasks again. */
export async function ready(word: string): Promise<string[]> {
  await requireManager();
  const node = await nodeNamed(word);
  await setAvailability(node.ID, "active");
  return [`${nameOf(node)} takes tasks again; those that run stay where they are: dp restart APP spreads an app's`];
}

/** Takes a server out of the swarm: drained while it answers, no manager any more, and then removed. */
export async function remove(word: string): Promise<string[]> {
  await requireManager();
  const node = await nodeNamed(word);
  const name = nameOf(node);
  if (node.ID === (await membership()).NodeID)
    throw new DpError("host", `${name} is this server, and has the front, the registry and dp's apps`, {
      hint: "to end a swarm of one: dp destroy each app, then docker swarm leave --force",
    });
  const said = isReady(node) ? await drain(node.ID) : [];
  if (node.Spec.Role === "manager") {
    await updateNode(node.ID, (spec) => void (spec.Role = "worker"));
    await until(`${name} is still a manager`, async () => !(await nodeNamed(node.ID)).ManagerStatus);
  }
  await removeNode(node.ID);
  const next = isReady(node) ? `next, on it: dp swarm leave` : `should it come back, on it: docker swarm leave --force`;
  return [...said, `${name} is out of the swarm; ${next}`];
}

/** Ends this server's part in its swarm, once it was drained. */
export async function leave(): Promise<string[]> {
  await requireSwarmEngine();
  const { LocalNodeState, ControlAvailable, Managers } = await membership();
  if (LocalNodeState === "inactive") throw new DpError("host", "this server is in no swarm");
  if (ControlAvailable)
    throw new DpError("host", "this server is a manager of its swarm", {
      hint:
        Managers > 1
          ? "on another manager: dp swarm remove NAME"
          : "to end a swarm of one: dp destroy each app, then docker swarm leave --force",
    });
  const running = await ask({ path: listPath("/containers/json", { label: ["com.docker.swarm.task"] }) });
  const count = Array.isArray(running) ? running.length : 0;
  if (count > 0)
    throw new DpError("host", `this server runs ${count} tasks of its swarm`, {
      hint: "first, on a manager: dp swarm remove NAME",
    });
  await ask({ method: "POST", path: "/swarm/leave" });
  for (const folder of await accessFolders()) await rm(folder, { recursive: true });
  return ["this server has left its swarm, and gets no more images from it"];
}
