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
