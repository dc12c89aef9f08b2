// `dp restart`, `dp stop`, `dp start`: the processes of the live release, one after the other.
import type { App } from "../contracts/app.ts";
import { makeIo, silentLog, type Io } from "../host/io.ts";
import { isWeb, processOf } from "../text/ids.ts";
import type { InstanceFacts } from "../release/instance.ts";
import { keepStopped, stoppedIds, wantedIds } from "../release/processes.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { lockNow } from "../deploy/queue.ts";
import { restartInstance, startInstance, stopInstance } from "../deploy/restart.ts";
import { openApp } from "../release/app.ts";
import { liveFacts, liveOf, named } from "./processes.ts";

/** An action on processes. */
export type Action = "restart" | "stop" | "start";

const DONE: Readonly<Record<Action, string>> = { restart: "restarted", stop: "stopped", start: "started" };

/**
 * Does the action, one process after the other; answers which. Throws DpError "unhealthy" at the first process that
 * does not start.
 */
export async function control(
  name: string,
  action: Action,
  word: string | undefined,
  say: (line: string) => void,
): Promise<string[]> {
  const app = await openApp(name);
  // Even while the app is locked by hand, a process may be stopped and started again.
  if (action === "restart") requireUnlocked(app);
  const lock = await lockNow(app, `dp ${action} ${name}`);
  try {
    // The previous holder of the lock may have changed config.yml.
    const facts = await liveFacts(await openApp(name));
    const ids = named(facts, word);
    const io = makeIo({ ...silentLog, warn: say });
    const done: string[] = [];
    for (const id of ids) {
      const before = await alreadySo(facts.app, action, id);
      await doOne(facts, action, id, io);
      done.push(processOf(id));
      say(before === null ? `${DONE[action]} ${name} ${processOf(id)}` : `${name} ${processOf(id)} ${before}`);
    }
    return done;
  } finally {
    lock.release();
  }
}

/** What to say of an instance that is as the action would make it; null when the action changes it. */
async function alreadySo(app: App, action: Action, id: string): Promise<string | null> {
  if (action === "restart") return null;
  const isStopped = (await stoppedIds(app)).has(id);
  const { state, isOrphan } = await app.manager.status({ app: app.name, id });
  if (action === "stop") return isStopped && (state === "stopped" || state === "failed") ? "was stopped already" : null;
  if (isStopped || state !== "running" || isOrphan || (isWeb(id) && !(await isServed(app, id)))) return null;
  return "runs already";
}

/** Whether the front sends requests to an instance. */
async function isServed({ front, name }: App, id: string): Promise<boolean> {
  if (!front.holdsPort) return true;
  const route = await front.status(name, true);
  return route?.target?.id === id && !route.isHeld;
}

async function doOne(facts: InstanceFacts, action: Action, id: string, io: Io): Promise<void> {
  const { app, config } = facts;
  const stopped = await stoppedIds(app);
  if (action === "stop") stopped.add(id);
  else stopped.delete(id);
  // Noted first, so that a reboot at any moment ends in the state that the user wanted.
  await keepStopped(app, [...stopped]);
  if (action === "stop") await stopInstance(app, id, io);
  else await (action === "start" ? startInstance : restartInstance)(facts, id, io);
  await app.manager.enable(app.name, await wantedIds(app, liveOf(facts), config), io);
}
