// Questions that are asked at the same time, as one: an answer of systemd costs a process, whatever it is about.

/** The most that is asked about at once: the arguments of a program are limited. */
const MOST = 500;

/**
 * A question about one thing, made of one about many. While systemd works on an answer the next questions gather, so
 * that nobody waits for others to come, and everybody gets an answer to a question that was put after they asked.
 */
export function together<Answer>(
  ask: (names: readonly string[]) => Promise<ReadonlyMap<string, Answer>>,
): (name: string) => Promise<Answer> {
  const waiting = new Map<string, PromiseWithResolvers<Answer>>();
  let isAsking = false;
  const work = async () => {
    isAsking = true;
    await null; // what is asked in the same turn belongs to the first question
    for (let some = take(); some.size > 0; some = take()) {
      try {
        const answers = await ask([...some.keys()]);
        for (const [name, { resolve, reject }] of some) {
          if (answers.has(name)) resolve(answers.get(name)!);
          else reject(new Error(`systemd reports nothing about ${name}`));
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
