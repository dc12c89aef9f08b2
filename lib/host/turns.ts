// Turns: of many tasks only so many are under way at a time.

/** Runs a task when fewer than `most` others of the same queue are under way, first come, first served. */
export function turns(most: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  return async (task) => {
    if (underWay >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else underWay++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) underWay--;
      else next(); // it takes over the place
    }
  };
}

/** How many tasks are begun before what the others wait for has its turn. */
const PART = 64;

/** Begins a task for each, and lets those go on that are under way in between; answers how each ended. */
export async function settleAll<One, Result>(
  all: readonly One[],
  task: (one: One) => Promise<Result>,
): Promise<PromiseSettledResult<Result>[]> {
  const parts: Promise<PromiseSettledResult<Result>[]>[] = [];
  for (let at = 0; at < all.length; at += PART) {
    parts.push(Promise.allSettled(all.slice(at, at + PART).map(task)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (await Promise.all(parts)).flat();
}

/** The same; answers the results, or fails with the first failure once all have ended. */
export async function allInParts<One, Result>(
  all: readonly One[],
  task: (one: One) => Promise<Result>,
): Promise<Result[]> {
  return (await settleAll(all, task)).map((end) => {
    if (end.status === "rejected") throw end.reason;
    return end.value;
  });
}
