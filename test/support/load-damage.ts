// Damage to a sandbox: what an outage does to instances, the relay and what dp wrote down of them.
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { pidsWith, until, isRunning, type Sandbox } from "./sandbox.ts";

/** The relay's folder in a sandbox. */
export const relayFolder = (box: Sandbox) => `${box.root}/var/lib/dp/relay`;

/** dp's side of the sandbox's relay. */
export const relayOf = (box: Sandbox) => relayAt(relayFolder(box));

/** The app's route in the relay, or undefined. */
export const routeOf = async (box: Sandbox) => (await relayOf(box).status()).routes.find(({ app }) => app === box.app);

/**
 * Ends processes at once, and waits until they are gone: one that is about to has no arguments any more, and still counts as
 * one that runs.
 */
export async function killAll(what: string, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) throw new Error(`there is nothing to kill: ${what}`);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until(`the end of ${what}`, () => !pids.some(isRunning));
}

/** Kills an instance with its supervisor: nothing starts it again. */
export const killInstance = (box: Sandbox, id: string) =>
  killAll(`instance ${id}`, [...pidsWith(`${box.base}/instances/${id}.json`), ...(box.instances()[id] ?? [])]);

/** Kills the relay's process; its supervisor starts it again. */
export async function killRelay(box: Sandbox): Promise<number> {
  const { pid } = await relayOf(box).status();
  await killAll("the relay", [pid]);
  return pid;
}

/** Kills the relay with its supervisor: nobody holds the public port. */
export async function killRelayForGood(box: Sandbox): Promise<void> {
  const { pid } = await relayOf(box).status();
  await killAll("the relay and its supervisor", [...pidsWith(`${relayFolder(box)}/relay.json`), pid]);
}
