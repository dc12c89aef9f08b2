// Batches simultaneous questions to somebody who can answer many at once: systemd, the relay. Each call has its price.

/** The most names in one call: the length of a command line is limited. */
const MOST = 500;

/**
 * Turns a question about many names into a question about one. While an answer is under way, the next questions are
 * collected. Nobody waits for others to ask, and every answer is at least as recent as its question.
 */
export function together<Answer>(
  ask: (names: readonly string[]) => Promise<ReadonlyMap<string, Answer>>,
): (name: string) => Promise<Answer> {
  const waiting = new Map<string, PromiseWithResolvers<Answer>>();
  let isAsking = false;
  const work = async () => {
    isAsking = true;
    await null; // questions from the same turn of the event loop belong to the first batch
    for (let some = take(); some.size > 0; some = take()) {
      try {
        const answers = await ask([...some.keys()]);
        for (const [name, { resolve, reject }] of some) {
          if (answers.has(name)) resolve(answers.get(name)!);
          else reject(new Error(`there is no answer about ${name}`));
        }
      } catch (error) {
        for (const { reject } of some.values()) reject(error);
      }
    }
    isAsking = false;
  };
  const take = () => {
    const some = new Map([...waiting].slice(0, MOST));
    for (const name of some.keys()) waiting.delete(name);
    return some;
  };
  return (name) => {
    const found = waiting.get(name) ?? Promise.withResolvers<Answer>();
    waiting.set(name, found);
    if (!isAsking) void work();
    return found.promise;
  };
}
