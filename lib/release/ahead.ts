// After a boot the processes of many apps are started first, and everything else about them is looked at while they boot.
import type { App } from "../contracts/app.ts";
import { untilListened } from "../health/listened.ts";
import { isUnheard } from "../health/unheard.ts";
import type { Io } from "../host/io.ts";
import { aimOf, type Aim } from "./aim.ts";
import { instanceOf, type InstanceFacts } from "./instance.ts";
import { usablePort } from "./instances.ts";
import { managerFor } from "./manager.ts";

/** A live web process that was started ahead of everything else. */
export interface Ahead {
  /** When, in ms of performance.now. */
  at: number;
  /** Why it could not be started; null: it was. */
  failure: unknown;
}

/** What is known of an app before it is brought in line. */
export interface Known {
  aim: Aim;
  ahead: Ahead | null;
}

/** Milliseconds between two looks whether a process that boots still runs. */
const ALIVE = 500;

/**
 * What an app should be, and how its live web process was started ahead; null: it was not. When it was, the app's lock is
 * to be kept until `settled` has answered. Throws what `aimOf` does.
 */
export async function startAhead(app: App, io: Io): Promise<Known> {
  const aim = await aimOf(app);
  const { live, facts, wanted } = aim;
  if (live === null || facts === null || !wanted.includes(live)) return { aim, ahead: null };
  const ahead = (await isInNobodysWay(facts, live)) ? await start(facts, live, io) : null;
  return { aim, ahead };
}

/** The same when everything is protected that was started ahead; if not, nobody knows how it went. */
export async function settled(app: App, known: Known): Promise<Known> {
  if (known.ahead === null || (await app.manager.settle?.()) !== false) return known;
  return { ...known, ahead: null };
}

/**
 * Whether it is stopped, and nothing that is to be looked at first can be in its way: a front holds the public port, and two
 * releases may run at once.
 */
async function isInNobodysWay({ app, config }: InstanceFacts, id: string): Promise<boolean> {
  const { name, manager, server, front } = app;
  if (!front.holdsPort || server.strategy === "restart") return false;
  try {
    // Whether it has booted would not be seen from here.
    if ((await managerFor(config.type, server)).ownNetwork) return false;
    return (await manager.status({ app: name, id })).state === "stopped";
  } catch {
    return false; // what is wrong with the manager is told when it is asked the next time
  }
}

/** Returns as soon as it has booted, or will not soon. */
async function start(facts: InstanceFacts, id: string, io: Io): Promise<Ahead> {
  const at = performance.now();
  try {
    const port = await usablePort(facts);
    await facts.app.manager.start({ ...(await instanceOf(facts, port)), isAhead: true }, io);
    await untilBooted(facts, id, port).catch(() => undefined); // its health is asked for later
    return { at, failure: null };
  } catch (failure) {
    return { at, failure };
  }
}

/** Waits until somebody listens, the process does not run any more, or its time to start is over. */
async function untilBooted({ app, config }: InstanceFacts, id: string, port: number): Promise<void> {
  const end = performance.now() + config.healthCheck!.startTimeout;
  while (performance.now() < end) {
    const { state, pid } = await app.manager.status({ app: app.name, id });
    if (state !== "running" || !isUnheard(pid, port)) return;
    await untilListened(port, ALIVE);
  }
}
