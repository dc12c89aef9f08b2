// Sessions of keys under way, and how they end: at once, but for deploys, which outlive whoever asked for them.
import { endAll } from "../host/process/end-all.ts";
import { argumentsOf, processTable, type ProcessEntry } from "../host/process/process.ts";
import { SELF } from "../host/self.ts";
import { gateOf } from "../host/who.ts";

/** How long a command may take to end, in ms. */
const PATIENCE = 5_000;

/** The sessions of a name, or of one of its keys: what the gate has started, and the gate itself. */
function processesOf(name: string, key: string | undefined): number[] {
  const table = processTable();
  const children = Map.groupBy(table, ({ parent }) => parent);
  const isTheirs = ({ pid }: ProcessEntry) => {
    const holder = gateOf(pid);
    return holder?.name === name && (key === undefined || holder.key === key);
  };
  const found = table.filter(isTheirs);
  for (const { pid } of found)
    for (const child of children.get(pid) ?? []) if (!isDeploy(child) && !found.includes(child)) found.push(child);
  return found.map(({ pid }) => pid).filter((pid) => pid !== process.pid);
}

// A dp in a session of its own: nobody who leaves ends it.
function isDeploy({ pid, session }: ProcessEntry): boolean {
  const argv = argumentsOf(pid);
  return pid === session && SELF.every((word, at) => argv[at] === word);
}

/** Ends the sessions of a name, or of one of its keys; answers how many there were. */
export async function endSessions(name: string, key?: string): Promise<number> {
  const known = new Set<number>();
  let sessions = 0;
  // What a session had started is ended, too, when the session itself is gone by then.
  const find = () => {
    const now = processesOf(name, key);
    sessions = Math.max(sessions, now.filter((pid) => gateOf(pid) !== null).length);
    for (const pid of now) known.add(pid);
    return processTable().flatMap(({ pid }) => (known.has(pid) ? [pid] : []));
  };
  await endAll(find, PATIENCE);
  return sessions;
}
