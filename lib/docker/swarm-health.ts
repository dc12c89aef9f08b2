// The nodes of a swarm as people see them, and what is wrong with them.
import { nodes, TWO } from "./swarm.ts";

export interface NodeRow {
  name: string;
  address: string;
  role: string;
  /** `ready`, `down`, `unreachable`; with what the operator wants of it: `ready, drain`. */
  state: string;
  isLeader: boolean;
  engine: string;
}

/** The nodes of the swarm, by name. */
export async function nodeRows(): Promise<NodeRow[]> {
  return (await nodes()).map(({ Spec, Description, Status, ManagerStatus }): NodeRow => {
    // A lost manager is missed by the others before its tasks are.
    const isMissed = Status.State === "ready" && ManagerStatus?.Reachability === "unreachable";
    const state = isMissed ? "unreachable" : Status.State;
    return {
      name: Description.Hostname,
      address: (ManagerStatus?.Addr ?? Status.Addr).replace(/:\d+$/, ""),
      role: Spec.Role,
      state: Spec.Availability === "active" ? state : `${state}, ${Spec.Availability}`,
      isLeader: ManagerStatus?.Leader === true,
      engine: Description.Engine.EngineVersion,
    };
  });
}

/** Whether a node answers. */
export const isThere = ({ state }: NodeRow) => state.startsWith("ready");

/** What is wrong with the number of managers, one sentence each. */
export function managerProblems(rows: readonly NodeRow[]): string[] {
  const managers = rows.filter(({ role }) => role === "manager");
  const all = managers.length;
  if (all === 2) return [TWO];
  const left = managers.filter(isThere).length;
  if (left < all && all > 1) {
    const spare = left - Math.floor(all / 2) - 1;
    const loss = spare > 0 ? `the loss of ${spare + 1} more stops` : "the loss of one more stops";
    return [`${left} of ${all} managers are there, and ${loss} all changes`];
  }
  return all % 2 === 0 ? [`${all} managers survive no more losses than ${all - 1}`] : [];
}
