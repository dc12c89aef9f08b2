// The entry of the live release on each node, behind the entrance. For a moment two releases have theirs, in two places:
// each entrance changes over by itself, as soon as the old one says that it leaves and the new one has tasks.
import * as v from "valibot";
import { ask, listPath } from "../../docker/api.ts";
import { nodes, removeService, servicesWith, type Node, type Service } from "../../docker/swarm.ts";
import { DpError } from "../../errors.ts";
import { readText } from "../../host/files.ts";
import type { InstanceName } from "../../host/instance.ts";
import type { Io } from "../../host/io.ts";
import { configName, configUse, removeUnusedConfigs } from "./configs.ts";
import { entryConfig } from "./entry.ts";
import { networkName } from "./names.ts";
import { COLOURS, entriesName, ENTRY_OF, nodeLabels, SOCKETS } from "./node-names.ts";
import { createOnNodes, haproxyReference, onNodes, runningOnNodes } from "./on-nodes.ts";
import { GRACE } from "./proxy.ts";

/** The label with the name of its configuration. */
const CONFIG = "dp.config";
const LOOK = 100;

const isThere = ({ Status }: Node) => Status.State === "ready";

const entriesOf = async (app: string): Promise<Service[]> =>
  (await servicesWith(nodeLabels(app))).filter(({ Spec }) => ENTRY_OF in Spec.Labels);

const isWanted = ({ app, id }: InstanceName, text: string, { Spec }: Service) =>
  Spec.Labels[ENTRY_OF] === id && Spec.Labels[CONFIG] === configName(app, text);

/** The configuration of a release's entries; null: another manager has started it, or an older dp. */
async function textOf(instance: InstanceName): Promise<string | null> {
  const text = await readText(entryConfig(instance));
  return text?.includes('"${STATE}"') ? text : null;
}

/**
 * Makes the entries of a release beside those of the one before, which stay in use; `drain`: how long its requests may last
 * when it leaves, in ms. Safe to repeat. Throws DpError "command" when they do not start on a node; the others are
 * `removed` then, or `kept`.
 */
export async function prepareEntries(
  instance: InstanceName,
  drain: number,
  io: Io,
  others: "removed" | "kept" = "removed",
): Promise<void> {
  const text = await textOf(instance);
  if (text === null) return;
  const { app } = instance;
  const all = await entriesOf(app);
  const own = all.find((service) => isWanted(instance, text, service));
  if (own !== undefined && all.length === 1) return;
  // A change that was interrupted has left two: the entrances use one of them until there is a third.
  if (own === undefined && all.length === COLOURS.length) await removeService(entriesName(app, "green"));
  const name = own?.Spec.Name ?? (await make(instance, text, drain, io));
  try {
    await runningOnNodes(name, io);
  } catch (error) {
    if (own === undefined && others === "removed") await removeService(name);
    throw error;
  }
}

/**
 * Lets all entries but those of a release leave: each entrance then changes over. Answers whether there were others, and
 * the number of nodes; null: it has no entries, and the entrances answer 503.
 */
export async function leadTo(instance: InstanceName): Promise<{ hadOthers: boolean; nodes: number } | null> {
  const text = await textOf(instance);
  if (text === null) {
    await leadNowhere(instance.app);
    return null;
  }
  const others = (await entriesOf(instance.app)).filter((service) => !isWanted(instance, text, service));
  for (const { Spec } of others) await removeService(Spec.Name);
  await removeUnusedConfigs(instance.app);
  return { hadOthers: others.length > 0, nodes: (await nodes()).filter(isThere).length };
}

/** Makes the entries of a release in the free place; answers the name of their service. */
async function make(instance: InstanceName, text: string, drain: number, io: Io): Promise<string> {
  const { app, id } = instance;
  const taken = (await entriesOf(app)).map(({ Spec }) => Spec.Name);
  const colour = COLOURS.find((each) => !taken.includes(entriesName(app, each)))!;
  const name = entriesName(app, colour);
  const config = await configUse(app, text, "/haproxy.cfg");
  const service = {
    app,
    name,
    config,
    network: networkName(app),
    stopTimeout: GRACE + drain,
    labels: { [ENTRY_OF]: id, [CONFIG]: config.ConfigName },
    env: [
      ...[`ENTRY=unix@${SOCKETS}/${colour}`, `STATE=unix@${SOCKETS}/${colour}.state`],
      // Of two that stay, the one that blue came after is used.
      `FIRST=${SOCKETS}/${colour === "blue" ? "green.state" : "none"}`,
    ],
  };
  try {
    await createOnNodes(onNodes(service, await haproxyReference(io)), io);
  } catch (error) {
    await removeService(name);
    throw error;
  }
  return name;
}

/** Lets the entrances answer 503. Safe to repeat. */
export async function leadNowhere(app: string): Promise<void> {
  for (const { Spec } of await entriesOf(app)) await removeService(Spec.Name);
  await removeUnusedConfigs(app);
}

const tasks = v.array(
  v.object({
    NodeID: v.optional(v.string(), ""),
    Status: v.object({ State: v.string() }),
    Spec: v.object({
      ContainerSpec: v.object({ Labels: v.optional(v.record(v.string(), v.string()), {}) }),
    }),
  }),
);

/**
 * Waits until the removed entries of a release have ended on every node that is there: their requests are answered then,
 * or cut off. At once when they were not removed.
 */
export async function left(instance: InstanceName, drain: number, io: Io): Promise<void> {
  const { app, id } = instance;
  if ((await entriesOf(app)).some(({ Spec }) => Spec.Labels[ENTRY_OF] === id)) return;
  const label = Object.entries({ ...nodeLabels(app), [ENTRY_OF]: id }).map(([key, value]) => `${key}=${value}`);
  const end = performance.now() + GRACE + drain + 60_000;
  for (;;) {
    const there = new Set((await nodes()).filter(isThere).map(({ ID }) => ID));
    const all = v.parse(tasks, (await ask({ path: listPath("/tasks", { label }) })) ?? []);
    const waiting = all.filter(({ NodeID, Status }) => there.has(NodeID) && isAlive(Status.State));
    if (waiting.length === 0) return;
    if (performance.now() > end)
      throw new DpError("command", `the entry of ${app}@${id} does not end on ${waiting.length} nodes`, {
        hint: "docker ps on each of them",
      });
    await io.sleep(LOOK);
  }
}

const isAlive = (state: string) => state === "running" || state === "starting" || state === "preparing";
