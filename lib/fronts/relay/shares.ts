// How what connections hold is shared among clients: who has more than a share, and who is cut off first.

/** What a connection holds, in bytes: with the relay, and with the kernel. `isIdle`: its client waits for nothing. */
export interface Held {
  /** For whom it counts. */
  party: object;
  isIdle: boolean;
  own: number;
  kernel: number;
}

/** Where bytes are held; each place has a bound of its own. */
export type Place = "own" | "kernel";

/** The bytes of all connections. */
export const sumOf = (all: readonly Held[], place: Place): number => all.reduce((sum, one) => sum + one[place], 0);

/** The bytes of each client, by all its connections, of those that hold any. */
function weigh(all: readonly Held[], place: Place): Map<object, number> {
  const weights = new Map<object, number>();
  for (const { party, [place]: bytes } of all) if (bytes > 0) weights.set(party, (weights.get(party) ?? 0) + bytes);
  return weights;
}

/** The clients that hold more than their share of so much room: each that holds anything has an equal one. */
export function aboveShare(all: readonly Held[], place: Place, room: number): Set<object> {
  const weights = weigh(all, place);
  const share = room / weights.size;
  return new Set([...weights].filter(([, bytes]) => bytes > share).map(([party]) => party));
}

/**
 * The connections that hold something, in the order in which they are cut off: those of the client with the most first;
 * of these the idle ones, whose client loses nothing, then the largest.
 */
export function inOrder<T extends Held>(all: readonly T[], place: Place): T[] {
  const weights = weigh(all, place);
  const weightOf = ({ party }: T) => weights.get(party)!;
  return all
    .filter((one) => one[place] > 0)
    .toSorted((a, b) => weightOf(b) - weightOf(a) || Number(b.isIdle) - Number(a.isIdle) || b[place] - a[place]);
}
