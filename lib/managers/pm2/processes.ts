// The processes of a pm2 instance: the watcher that pm2 started, the app's own, the workers of a cluster.
import { markerOf, processesOf } from "../../host/supervisor/supervision.ts";
import { endAll } from "../../host/process/end-all.ts";
import { allPids } from "../../host/process/proc.ts";
import { argumentsOf, descendants, hasEnvironment, processTable, userOf } from "../../host/process/process.ts";
import { filesOf, ownerOf } from "./home.ts";
import type { Listed } from "./listing.ts";
import type { InstanceName } from "../../host/instance.ts";

export const isWorker = ({ pm2_env }: Listed) => pm2_env.exec_mode === "cluster_mode";

/** The app's own processes, whether the daemon runs or not; `listed`: the daemon's list for the instance. */
export function appProcesses(name: InstanceName, listed: readonly Listed[]): number[] {
  const { uid } = ownerOf(name.app);
  const workers = listed.filter((entry) => isWorker(entry) && entry.pid > 0).map(({ pid }) => pid);
  const marked = processesOf(name, uid, null);
  // pm2's list is under the app's control: only processes of its user count.
  const below = workers.length === 0 ? [] : descendants(workers).filter((pid) => userOf(pid) === uid);
  return [...new Set([...marked, ...below])].sort((a, b) => a - b);
}

/** The watchers of the instance: one, none, or those of killed daemons. */
function watchers(name: InstanceName): number[] {
  const { watcher } = filesOf(name);
  const { uid } = ownerOf(name.app);
  return allPids().filter((pid) => {
    const argv = argumentsOf(pid);
    return argv.length === 2 && argv[1] === watcher && userOf(pid) === uid;
  });
}

/**
 * Ends pm2's start command for the instance, if a killed dp left one running: it would restart what is started
 * meanwhile.
 */
export function endStarters(name: InstanceName, timeout: number): Promise<void> {
  const { ecosystem } = filesOf(name);
  const users = [ownerOf(name.app).uid, process.getuid?.()];
  const isStarter = (pid: number) => {
    const argv = argumentsOf(pid);
    return argv.at(-1) === ecosystem && argv.at(-2) === "start" && users.includes(userOf(pid) ?? undefined);
  };
  return endAll(() => allPids().filter(isStarter), timeout);
}

/** The main process below a watcher, or null while there is none. */
export function mainBelow(name: InstanceName, watcher: number): number | null {
  const children = processTable().filter(({ parent }) => parent === watcher);
  return children.find(({ pid }) => hasEnvironment(pid, `DP_INSTANCE=${markerOf(name)}`))?.pid ?? null;
}

/** Ends every process that is left of the instance: SIGTERM, and SIGKILL after `timeout` ms. */
export function endProcesses(name: InstanceName, listed: readonly Listed[], timeout: number): Promise<void> {
  return endAll(() => [...watchers(name), ...appProcesses(name, listed)], timeout);
}
