// After a boot the processes of many apps are started first, and everything else about them is looked at while they boot.
import type { App } from "../contracts/app.ts";
import { aimOf, type Early } from "./aim.ts";
import { untilHeard } from "../health/heard.ts";
import { isUnheard } from "../health/unheard.ts";
import type { Io } from "../host/io.ts";
import { instanceOf, type InstanceFacts } from "./instance.ts";
import { usablePort } from "./instances.ts";
import { managerFor } from "./manager.ts";

/** Milliseconds between two looks whether a process that boots still runs. */
const ALIVE = 500;

/**
 * Starts the live web process when it is stopped and nothing that is to be looked at first can be in its way: a front
 * holds the public port, and two releases may run at once. Returns as soon as it has booted, or will not soon. What goes
 * wrong at the start is left to `reconcile`, which tries again and tells. Throws DpError "host" when `current` is damaged.
 */
export async function startEarly(app: App, io: Io): Promise<Early> {
  const aim = await aimOf(app);
  const { live, facts, wanted } = aim;
  if (live === null || facts === null || !wanted.includes(live)) return { ...aim, at: null };
  if (!(await isInNobodysWay(facts, live))) return { ...aim, at: null };
  const port = await startOn(facts, io);
  if (port === null) return { ...aim, at: null };
  const at = performance.now();
  await untilBooted(facts, live, port);
  return { ...aim, at };
}

async function isInNobodysWay({ app, config }: InstanceFacts, id: string): Promise<boolean> {
  const { name, manager, server, front } = app;
  if (!front.holdsPort || server.strategy === "restart") return false;
  // Whether it has booted is not seen from here.
  if ((await managerFor(config.type, server)).ownNetwork) return false;
  return (await manager.status({ app: name, id })).state === "stopped";
}

/** The port on which it was started; null: it was not. */
async function startOn(facts: InstanceFacts, io: Io): Promise<number | null> {
  try {
    const port = await usablePort(facts);
    await facts.app.manager.start(await instanceOf(facts, port), io);
    return port;
  } catch {
    return null;
  }
}

/** Waits until somebody listens, the process does not run any more, or its time to start is over. */
async function untilBooted({ app, config }: InstanceFacts, id: string, port: number): Promise<void> {
  const end = performance.now() + config.healthCheck!.startTimeout;
  while (performance.now() < end) {
    const { state, pid } = await app.manager.status({ app: app.name, id });
    if (state !== "running" || !isUnheard(pid, port)) return;
    await untilHeard(port, ALIVE);
  }
}
